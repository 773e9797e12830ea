// What is known of the server right now. One part of the pages keeps it true (`live/feed.ts`); all others only read it.
import { signal } from "@preact/signals";
import type { EdgeView, JobsChanged, NodeView, Overview, QueueView, TreeEntry } from "../api/types";

export type Topic = "overview" | "queues" | "tree" | "jobs" | "nodes" | "edges";

export interface Line {
  state: "connecting" | "live" | "lost" | "paused";
  /** When something was last heard. */
  heardAt: number;
  /** Why the line is lost. */
  why?: string;
}

export const line = signal<Line>({ state: "connecting", heardAt: 0 });
export const overview = signal<Overview | null>(null);
export const queues = signal<ReadonlyMap<string, QueueView> | null>(null);
export const nodes = signal<ReadonlyMap<string, NodeView> | null>(null);
export const edges = signal<ReadonlyMap<string, EdgeView> | null>(null);
/** By path; of the node that is asked. */
export const tree = signal<ReadonlyMap<string, TreeEntry> | null>(null);
/** The last jobs that changed. */
export const jobsChanged = signal<JobsChanged>({ changed: [], more: 0 });

/** Puts changes into what is known. */
export function merge<T>(
  known: ReadonlyMap<string, T> | null,
  frame: { full: boolean; changed: T[]; removed?: string[] },
  key: (one: T) => string,
): ReadonlyMap<string, T> {
  const merged = new Map(frame.full ? [] : known);
  for (const one of frame.changed) merged.set(key(one), one);
  for (const gone of frame.removed ?? []) merged.delete(gone);
  return merged;
}
