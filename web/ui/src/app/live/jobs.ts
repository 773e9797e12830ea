// The list of jobs: page by page as the server has them, the newest always true while they are looked at.
import { type ReadonlySignal, type Signal, useSignal, useSignalEffect } from "@preact/signals";
import { useCallback, useEffect, useRef } from "preact/hooks";
import { get, getExact, path } from "../api/client";
import type { JobDetail, JobList, JobSummary } from "../api/types";
import type { Node } from "../core/filter";
import { forServer, jobFits, listAddress } from "../core/jobs";
import type { Json } from "../core/json";
import { reloads } from "../core/load";
import { reason } from "../core/toasts";
import { jobsChanged, line } from "./state";

export interface Jobs {
  jobs: JobSummary[];
  loading: boolean;
  problem: string | null;
  /** There are no more. */
  done: boolean;
  /** How many were looked through. */
  looked: number;
  /** Whether the server applies all of the filter. */
  whole: boolean;
  /** Changes that came and are not shown. */
  more: number;
}

const PAGE = 100;
/** Of a filter that the server cannot apply: jobs of one page, and jobs that are looked through before it stops. */
const SEARCH_PAGE = 500;
const BOUND = 5_000;
/** Found jobs after which a search stops. */
const ENOUGH = 100;
/** Jobs that are loaded as a whole for one search. */
const MOST_WHOLE = 300;
const AT_ONCE = 6;
/** How often the newest page is asked for at most. */
const SETTLED = 1_500;

export function useJobs(node: Node, key: string): { state: ReadonlySignal<Jobs>; reload: () => void; further: () => void } {
  const { filter, whole } = forServer(node);
  const state = useSignal<Jobs>({ jobs: [], loading: true, problem: null, done: false, looked: 0, whole, more: 0 });
  const cursor = useRef<string | undefined>(undefined);
  const work = useRef<AbortController | null>(null);
  const asked = reloads.value;

  const load = useCallback(
    async (fresh: boolean) => {
      if (!fresh && (work.current || state.peek().done)) return;
      work.current?.abort();
      const controller = new AbortController();
      work.current = controller;
      const before = fresh ? [] : state.peek().jobs;
      if (fresh) cursor.current = undefined;
      state.value = { ...state.peek(), loading: true, whole, more: fresh ? 0 : state.peek().more };
      try {
        const { found, looked, done } = await search(node, filter, whole, cursor, controller.signal);
        if (controller.signal.aborted) return;
        const known = new Set(before.map((job) => job.id));
        const jobs = [...before, ...found.filter((job) => !known.has(job.id))];
        const seen = (fresh ? 0 : state.peek().looked) + looked;
        state.value = { ...state.peek(), jobs, loading: false, problem: null, done, looked: seen, whole };
      } catch (error) {
        if (controller.signal.aborted) return;
        state.value = { ...state.peek(), loading: false, problem: reason(error) };
      } finally {
        if (work.current === controller) work.current = null;
      }
    },
    [key],
  );

  // Asked is why it loads again.
  useEffect(() => {
    load(true);
    return () => work.current?.abort();
  }, [load, asked]);
  useNewest(state, load, filter, whole);
  return { state, reload: () => load(true), further: () => load(false) };
}

/** States change where they stand; jobs that are new come in at the top while the top is looked at. */
function useNewest(
  state: Signal<Jobs>,
  load: (fresh: boolean) => Promise<void>,
  filter: ReturnType<typeof forServer>["filter"],
  whole: boolean,
): void {
  const planned = useRef<ReturnType<typeof setTimeout> | null>(null);
  const asked = useRef({ load, filter, whole });
  asked.current = { load, filter, whole };
  useEffect(() => () => clearTimeout(planned.current ?? undefined), []);
  const plan = () => {
    planned.current ??= setTimeout(async () => {
      planned.current = null;
      const now = state.peek();
      // Whoever reads further down is not to lose his place.
      if (!asked.current.whole || scrollY > 200 || now.loading) return;
      await refreshFirst(state, asked.current.filter);
    }, SETTLED);
  };
  useSignalEffect(() => {
    const { changed, more } = jobsChanged.value;
    if (changed.length === 0 && more === 0) return;
    const now = state.peek();
    const fresh = new Map(changed.map((job) => [job.id, job]));
    const known = new Set(now.jobs.map((job) => job.id));
    const unknown = changed.filter((job) => !known.has(job.id)).length + more;
    const jobs = now.jobs.map((job) => fresh.get(job.id) ?? job);
    state.value = { ...now, jobs, more: asked.current.whole && scrollY > 200 ? now.more + unknown : now.more };
    plan();
  });
  // What came while the line was lost is asked for.
  const alive = useRef(false);
  useSignalEffect(() => {
    const live = line.value.state === "live";
    if (live && !alive.current) plan();
    alive.current = live;
  });
}

async function refreshFirst(state: Signal<Jobs>, filter: ReturnType<typeof forServer>["filter"]): Promise<void> {
  try {
    const { jobs } = await get<JobList>(listAddress(filter, PAGE));
    const now = state.peek();
    const fresh = new Set(jobs.map((job) => job.id));
    const oldest = jobs.at(-1)?.created_at ?? "";
    // What is behind the page stays; what should have been on it and is not does not fit any more.
    const rest = now.jobs.filter((job) => !fresh.has(job.id) && jobs.length >= PAGE && job.created_at < oldest);
    state.value = { ...now, jobs: [...jobs, ...rest], problem: null, more: 0, looked: jobs.length + rest.length };
  } catch (error) {
    state.value = { ...state.peek(), problem: reason(error) };
  }
}

async function search(
  node: Node,
  filter: ReturnType<typeof forServer>["filter"],
  whole: boolean,
  cursor: { current: string | undefined },
  signal: AbortSignal,
): Promise<{ found: JobSummary[]; looked: number; done: boolean }> {
  const found: JobSummary[] = [];
  let looked = 0;
  let wholes = 0;
  for (;;) {
    const page = await get<JobList>(listAddress(filter, whole ? PAGE : SEARCH_PAGE, cursor.current), signal);
    looked += page.jobs.length;
    cursor.current = page.next_cursor;
    if (whole) found.push(...page.jobs);
    else {
      const unsure: JobSummary[] = [];
      for (const job of page.jobs) {
        const fit = jobFits(node, job, Date.now());
        if (fit) found.push(job);
        else if (fit === null) unsure.push(job);
      }
      const looks = unsure.slice(0, Math.max(0, MOST_WHOLE - wholes));
      wholes += looks.length;
      found.push(...(await thatFit(node, looks, signal)));
      if (looks.length < unsure.length || wholes >= MOST_WHOLE)
        return { found: ordered(found), looked, done: !page.next_cursor };
    }
    if (!page.next_cursor) return { found: ordered(found), looked, done: true };
    if (whole || found.length >= ENOUGH || looked >= BOUND) return { found: ordered(found), looked, done: false };
  }
}

function ordered(jobs: JobSummary[]): JobSummary[] {
  return jobs.sort((left, right) => (left.created_at < right.created_at ? 1 : left.created_at > right.created_at ? -1 : 0));
}

/** Of jobs whose payloads decide, those that fit. */
async function thatFit(node: Node, jobs: JobSummary[], signal: AbortSignal): Promise<JobSummary[]> {
  const rest = [...jobs];
  const fit: JobSummary[] = [];
  const work = async () => {
    for (let job = rest.shift(); job; job = rest.shift()) {
      const whole = (await getExact(path`/api/v1/jobs/${job.id}`, signal)) as unknown as JobDetail;
      if (jobFits(node, job, Date.now(), whole.payload as Json)) fit.push(job);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return fit;
}
