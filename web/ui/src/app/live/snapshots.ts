// For servers without a live feed: the same, asked for again and again.
import { get } from "../api/client";
import { pause } from "../api/sse";
import type { EdgeView, JobState, NodeView, Overview, QueueView, TreeEntry, TreeNode } from "../api/types";
import { JOB_STATES } from "../api/types";
import { edges, line, merge, nodes, overview, queues, type Topic, tree } from "./state";

const EVERY = 2_000;

/** Asks until it is called off. Throws when the server cannot be asked. */
export async function poll(topics: Topic[], signal: AbortSignal): Promise<void> {
  let before: { at: number; totals: Record<JobState, number> } | null = null;
  while (!signal.aborted) {
    const [found, all] = await Promise.all([
      get<QueueView[]>("/api/v1/queues", signal),
      get<NodeView[]>("/api/v1/nodes", signal),
    ]);
    queues.value = merge(null, { full: true, changed: found }, (queue) => queue.name);
    nodes.value = merge(null, { full: true, changed: all }, (node) => node.name);
    if (topics.includes("edges")) {
      const found = await get<EdgeView[]>("/api/v1/edges", signal);
      edges.value = merge(null, { full: true, changed: found }, (edge) => edge.name);
    }
    if (topics.includes("tree")) {
      const root = await get<TreeNode>("/api/v1/tree", signal);
      tree.value = merge(null, { full: true, changed: flat(root, null, 0) }, (entry) => entry.path);
    }
    const at = Date.now();
    const totals = Object.fromEntries(
      JOB_STATES.map((state) => [state, found.reduce((sum, queue) => sum + queue[state], 0)]),
    ) as Overview["totals"];
    overview.value = await view(at, totals, before, all, signal);
    before = { at, totals };
    line.value = { state: "live", heardAt: at };
    await pause(EVERY, signal);
  }
}

async function view(
  at: number,
  totals: Overview["totals"],
  before: { at: number; totals: Record<JobState, number> } | null,
  all: NodeView[],
  signal: AbortSignal,
): Promise<Overview> {
  const response = await fetch("/api/v1/ready", { signal });
  const readiness = (await response.json()) as Overview["readiness"];
  const rate = (state: JobState) => (before ? ((totals[state] - before.totals[state]) * 1000) / (at - before.at) : 0);
  const asked = all[0];
  return {
    at: new Date(at).toISOString(),
    node: asked?.name ?? "",
    version: readiness.version,
    started_at: asked?.since ?? "",
    readiness,
    totals,
    rates: {
      submitted: 0,
      started: 0,
      completed: rate("completed"),
      failed: rate("discarded"),
      retried: 0,
      cancelled: rate("cancelled"),
    },
    wait: null,
    run: null,
    nodes: all.length,
    alerts: [],
  };
}

/** The tree as a list of entries, each before those below it. */
export function flat(node: TreeNode, parent: string | null, index: number): TreeEntry[] {
  const { children, ...own } = node;
  const below = (children ?? []).flatMap((child, place) => flat(child, node.path, place));
  return [{ ...own, parent, index }, ...below];
}
