// BullMQ on Redis. What it survives is what Redis is set to keep: nothing, by default, of the last second.

import { Queue, Worker } from "bullmq";

import { measure, options } from "./measure.mjs";

const given = options(process.argv.slice(2));
const { hostname, port, pathname } = new URL(given.url);
const connection = { host: hostname, port: Number(port || 6379), db: Number(pathname.slice(1) || 0), maxRetriesPerRequest: null };
const TASK = "noop";
const SETTINGS = { removeOnComplete: true };
/** Of this run alone, so that nothing else on the server is touched. */
const NAME = `callboard-bench-${process.pid}`;

const queue = new Queue(NAME, { connection });
let worker;

await measure(
  {
    async setUp() {
      await queue.waitUntilReady();
    },
    enqueueOne: () => queue.add(TASK, {}, SETTINGS),
    enqueueMany: (jobs) => queue.addBulk(Array.from({ length: jobs }, () => ({ name: TASK, data: {}, opts: SETTINGS }))),
    clear: () => queue.obliterate({ force: true }),
    async start(onJob) {
      worker = new Worker(NAME, async () => onJob(), { connection, concurrency: given.concurrency });
      await worker.waitUntilReady();
    },
    async finished() {
      const left = async () => Object.values(await queue.getJobCounts()).reduce((all, some) => all + some, 0);
      while ((await left()) > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    },
    async stop() {
      await worker.close();
      await queue.obliterate({ force: true });
      await queue.close();
    },
  },
  given,
);
