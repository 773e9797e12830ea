// Jobs for the filter, and what can be done with them.
import { path, send, withQuery } from "../api/client";
import type { JobState, JobSummary } from "../api/types";
import { JOB_STATES } from "../api/types";
import { certain, fits, type Node, type Row, terms } from "./filter";
import type { Json } from "./json";
import { ExactNumber } from "./json";

export const JOB_FIELDS = [
  "id",
  "type",
  "worker",
  "queue",
  "state",
  "tag",
  "cause",
  "key",
  "error",
  "attempt",
  "max",
  "priority",
  "age",
  "ran",
  "args.",
];

/** What the server takes a job by. */
export interface ServerFilter {
  state?: string;
  queue?: string;
  type?: string;
  tag?: string;
  cause?: string;
}

const NAME = /^[A-Za-z0-9_.-]{1,50}$/;

/** The part of a filter that the server can apply, and whether that is all of it. */
export function forServer(node: Node): { filter: ServerFilter; whole: boolean } {
  const filter: ServerFilter = {};
  let used = 0;
  for (const [field, words] of certain(node)) {
    const only = words.length === 1 && words[0] ? words[0] : null;
    const name = only && NAME.test(only) ? only : null;
    if (field === "state") {
      const states = words.map((word) => word.toLowerCase());
      if (states.every((state) => JOB_STATES.includes(state as JobState))) filter.state = states.join(",");
    } else if (field === "queue" && name) filter.queue = name;
    else if ((field === "type" || field === "worker") && name && !filter.type) filter.type = name;
    else if (field === "tag" && only) filter.tag = only;
    else if (field === "cause" && only) filter.cause = only;
    else continue;
    used = Object.keys(filter).length;
  }
  return { filter, whole: used === terms(node).length };
}

export function listAddress(filter: ServerFilter, limit: number, cursor?: string): string {
  return withQuery("/api/v1/jobs", { ...filter, limit, cursor });
}

/** How long its last run took, or takes by now, in milliseconds. */
export function ran(job: JobSummary, now: number): number | null {
  if (!job.started_at) return null;
  if (job.state === "executing") return Math.max(0, now - Date.parse(job.started_at));
  return job.finished_at ? Math.max(0, Date.parse(job.finished_at) - Date.parse(job.started_at)) : null;
}

/** A job as the filter sees it; its payload, once it is loaded. */
export function jobRow(job: JobSummary, now: number, payload?: Json): Row {
  return {
    texts: () => [job.id, job.type, job.queue, job.state, ...(job.tags ?? []), job.partition_key ?? "", job.last_error ?? ""],
    field: (name) => {
      switch (name) {
        case "id":
          return [job.id];
        case "type":
        case "worker":
          return [job.type];
        case "queue":
          return [job.queue];
        case "state":
          return [job.state];
        case "tag":
          return job.tags ?? [];
        case "cause":
          return job.cause ? [job.cause] : null;
        case "key":
          return job.partition_key ? [job.partition_key] : null;
        case "error":
          return job.last_error ? [job.last_error] : null;
        case "attempt":
          return job.attempt;
        case "max":
          return job.max_attempts;
        case "priority":
          return job.priority;
        case "age":
          return (now - Date.parse(job.created_at)) / 1000;
        case "ran": {
          const ms = ran(job, now);
          return ms === null ? null : ms / 1000;
        }
      }
      return payload === undefined ? "unknown" : inside(payload, name.slice("args.".length).split("."));
    },
  };
}

function inside(value: Json, path: string[]): string[] | number | null {
  let found: Json | undefined = value;
  for (const name of path) {
    if (typeof found !== "object" || found === null || found instanceof ExactNumber) return null;
    found = (found as { [key: string]: Json })[name];
  }
  if (found === undefined || found === null) return null;
  if (typeof found === "number") return found;
  if (found instanceof ExactNumber) return [found.digits];
  return typeof found === "object" ? null : [String(found)];
}

export function jobFits(node: Node, job: JobSummary, now: number, payload?: Json) {
  return fits(node, jobRow(job, now, payload));
}

export const canRetry = (state: JobState) => state !== "executing" && state !== "pending" && state !== "available";
export const canCancel = (state: JobState) => !["completed", "cancelled", "discarded"].includes(state);

export function retry(id: string, body: unknown = {}): Promise<{ id: string; state: JobState; replay_of?: string }> {
  return send("POST", path`/api/v1/jobs/${id}/retry`, body);
}

export function cancel(id: string): Promise<{ id: string; state: JobState }> {
  return send("POST", path`/api/v1/jobs/${id}/cancel`);
}
