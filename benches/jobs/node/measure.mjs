// What all peers written for Node are measured by. Each prints one line of JSON with its figures.

import { performance } from "node:perf_hooks";

/** Jobs of one call of the bulk part. */
const BATCH = 1000;
/** Calls of the bulk part that are under way at a time. */
const BULK_CALLS = 4;
/** Submitters of the part that enqueues one by one. */
const CLIENTS = [1, 16, 64];
/** Jobs that are started before latencies count. */
const WARM_UP = 50;
/** How long a peer may be without any progress, in milliseconds. */
const PATIENCE = 60_000;

/** Waits for a number of things to have happened. */
export class Countdown {
  #left = 0;
  #resolve = undefined;

  /** Resolves when `count` more have happened; rejects when nothing has for too long. */
  wait(count) {
    this.#left += count;
    return new Promise((resolve, reject) => {
      let seen = this.#left;
      const watch = setInterval(() => {
        if (this.#left < seen) {
          seen = this.#left;
          return;
        }
        clearInterval(watch);
        reject(new Error(`it stands still with ${this.#left} jobs left`));
      }, PATIENCE);
      this.#resolve = () => {
        clearInterval(watch);
        resolve();
      };
      this.#check();
    });
  }

  happened() {
    this.#left -= 1;
    this.#check();
  }

  #check() {
    if (this.#left === 0 && this.#resolve) {
      this.#resolve();
      this.#resolve = undefined;
    }
  }
}

/** Calls `work(first, count)` for slices of `total`, so many at a time; jobs a second. */
async function sliced(total, slice, atOnce, work) {
  let next = 0;
  const began = performance.now();
  const one = async () => {
    while (next < total) {
      const first = next;
      next += slice;
      await work(first, Math.min(slice, total - first));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, one));
  return (total * 1000) / (performance.now() - began);
}

function quantile(sorted, part) {
  return sorted[Math.min(sorted.length - 1, Math.round((sorted.length - 1) * part))];
}

/**
 * Measures a peer: an object with `setUp()`, `enqueueMany(count)`, `enqueueOne()`, `clear()`, `start(onJob)`, `stop()`.
 */
export async function measure(peer, { jobs, singles, latencyJobs }) {
  const figures = {};
  await peer.setUp();
  for (const clients of CLIENTS) {
    figures[`enqueue_${clients}`] = await sliced(singles, 1, clients, () => peer.enqueueOne());
    await peer.clear();
  }
  figures.bulk_enqueue = await sliced(jobs, BATCH, BULK_CALLS, (_, count) => peer.enqueueMany(count));

  const countdown = new Countdown();
  let started = () => {};
  const drained = countdown.wait(jobs);
  const began = performance.now();
  await peer.start(() => {
    started();
    countdown.happened();
  });
  await drained;
  await peer.finished();
  figures.drain = (jobs * 1000) / (performance.now() - began);

  const times = [];
  for (let number = 0; number < WARM_UP + latencyJobs; number += 1) {
    const start = new Promise((resolve) => {
      started = () => resolve(performance.now());
    });
    const sent = performance.now();
    const done = countdown.wait(1);
    await peer.enqueueOne();
    const time = (await start) - sent;
    await done;
    if (number >= WARM_UP) times.push(time * 1000);
  }
  times.sort((a, b) => a - b);
  figures.start_p50_us = quantile(times, 0.5);
  figures.start_p99_us = quantile(times, 0.99);
  await peer.stop();
  console.log(JSON.stringify(figures));
}

/** `--name value` pairs. */
export function options(given) {
  const all = {};
  for (let index = 0; index + 1 < given.length; index += 2) all[given[index].replace(/^--/, "")] = given[index + 1];
  return {
    url: all.url,
    concurrency: Number(all.concurrency),
    jobs: Number(all.jobs),
    singles: Number(all.singles),
    latencyJobs: Number(all["latency-jobs"]),
  };
}
