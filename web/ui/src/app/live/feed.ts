// Keeps what is known of the server true: by its live feed, resumed after each loss. While nobody looks, nothing is asked.
import { effect } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Problem } from "../api/client";
import { follow, pause } from "../api/sse";
import { visible } from "../core/clock";
import { unknown } from "../core/session";
import { edges, jobsChanged, line, merge, nodes, overview, queues, type Topic, tree } from "./state";

/** What every view shows something of. */
const ALWAYS: Topic[] = ["overview", "queues"];
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 10_000;

const wanted = new Map<Topic, number>();
let now: AbortController | null = null;
let lastId = "";
let followed = "";
let planned: ReturnType<typeof setTimeout> | undefined;

/** The component shows this: it is kept true while the component is there. */
export function useTopics(...topics: Topic[]): void {
  const names = topics.join(",");
  useEffect(() => {
    const own = names.split(",") as Topic[];
    for (const topic of own) wanted.set(topic, (wanted.get(topic) ?? 0) + 1);
    plan();
    return () => {
      for (const topic of own) wanted.set(topic, (wanted.get(topic) ?? 1) - 1);
      plan();
    };
  }, [names]);
}

/** Begins to follow, and stops while the page is hidden. */
export function startFeed(): void {
  effect(() => {
    if (visible.value && !unknown.value) {
      run();
    } else {
      now?.abort();
      now = null;
      followed = "";
      if (line.peek().state === "live") line.value = { ...line.peek(), state: "paused" };
    }
  });
}

/** Asks anew for everything. */
export function refresh(): void {
  lastId = "";
  followed = "";
  run();
}

function topics(): Topic[] {
  const all = new Set(ALWAYS);
  for (const [topic, users] of wanted) if (users > 0) all.add(topic);
  return [...all].sort();
}

/** Views come and go together: their wishes are looked at when they are settled. */
function plan(): void {
  clearTimeout(planned);
  planned = setTimeout(() => {
    if (now && topics().join(",") !== followed) run();
  }, 20);
}

function run(): void {
  now?.abort();
  const controller = new AbortController();
  now = controller;
  const asked = topics();
  const names = asked.join(",");
  // A place in the feed holds for the topics that it was followed with.
  if (names !== followed) lastId = "";
  followed = names;
  keepUp(asked, controller.signal);
}

async function keepUp(asked: Topic[], signal: AbortSignal): Promise<void> {
  let wait = FIRST_PAUSE;
  while (!signal.aborted) {
    try {
      await follow(`/api/v1/feed?topics=${asked.join(",")}`, {
        signal,
        lastEventId: lastId,
        onOpen: () => {
          wait = FIRST_PAUSE;
          line.value = { state: "live", heardAt: Date.now() };
        },
        onFrame: ({ id, event, data }) => {
          if (id) lastId = id;
          take(event, data);
        },
      });
      throw new Problem("the server has ended the line", 0);
    } catch (error) {
      if (signal.aborted) return;
      const why = error instanceof Error ? error.message : String(error);
      line.value = { state: "lost", heardAt: line.peek().heardAt, why };
    }
    await pause(wait * (0.75 + Math.random() / 2), signal);
    wait = Math.min(wait * 2, LONGEST_PAUSE);
  }
}

function take(event: string, data: string): void {
  line.value = { state: "live", heardAt: Date.now() };
  const said = JSON.parse(data);
  switch (event) {
    case "overview":
      overview.value = said;
      break;
    case "queues":
      queues.value = merge(queues.value, said, (queue) => queue.name);
      break;
    case "nodes":
      nodes.value = merge(nodes.value, said, (node) => node.name);
      break;
    case "edges":
      edges.value = merge(edges.value, said, (edge) => edge.name);
      break;
    case "tree":
      tree.value = merge(tree.value, said, (entry) => entry.path);
      break;
    case "jobs":
      if (!said.full) jobsChanged.value = said;
      break;
  }
}
