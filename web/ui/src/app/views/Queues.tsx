// The queues: what they hold, how they go, and whether they do.

import { useSignal } from "@preact/signals";
import { useCallback, useState } from "preact/hooks";
import { get, path, send, withQuery } from "../api/client";
import type { QueueView, Series } from "../api/types";
import { now } from "../core/clock";
import { order } from "../core/commands";
import { fits, type Row } from "../core/filter";
import { count, plural, rate, short, span } from "../core/format";
import { type Command, useCommands } from "../core/keys";
import { useLoaded } from "../core/load";
import { go, href, query, setQuery } from "../core/router";
import { attempt, say } from "../core/toasts";
import { useTopics } from "../live/feed";
import { nodes, queues } from "../live/state";
import { Action, Ago, Badge, Empty, Facts, Head, Panel } from "../parts/basic";
import { ask, Dialog } from "../parts/Dialog";
import { FilterField, useFilter } from "../parts/Filter";
import { type Column, List } from "../parts/List";
import { SeriesChart } from "./Overview";

const FIELDS = ["name", "state", "available", "executing", "retryable", "scheduled", "pending", "age"];

function age(queue: QueueView): number | null {
  return queue.oldest_available_at ? Math.max(0, now.value - Date.parse(queue.oldest_available_at)) : null;
}

export function QueueState({ queue }: { queue: QueueView }) {
  if (queue.paused_at && queue.executing > 0)
    return <Badge tone="paused" letter="↓" text={`draining, ${count(queue.executing)} run`} />;
  if (queue.paused_at) return <Badge tone="paused" letter="‖" text="paused" />;
  if (queue.concurrency === 0) return <Badge tone="cancelled" letter="–" text="not served here" />;
  if (queue.executing > 0) return <Badge tone="running" letter="E" text="running" />;
  return <Badge tone="done" letter="✓" text="idle" />;
}

const COLUMNS: Column<QueueView>[] = [
  { id: "name", title: "Queue", cell: (queue) => queue.name, by: (queue) => queue.name },
  {
    id: "state",
    title: "State",
    cell: (queue) => <QueueState queue={queue} />,
    by: (queue) => (queue.paused_at ? 0 : 1),
    width: "11rem",
  },
  {
    id: "available",
    title: "Available",
    cell: (queue) => short(queue.available),
    by: (queue) => queue.available,
    number: true,
    width: "6.5rem",
  },
  {
    id: "executing",
    title: "Executing",
    cell: (queue) => `${short(queue.executing)}${queue.concurrency ? `/${queue.concurrency}` : ""}`,
    by: (queue) => queue.executing,
    number: true,
    hide: "narrow",
    width: "7rem",
  },
  {
    id: "retryable",
    title: "Retryable",
    cell: (queue) => short(queue.retryable),
    by: (queue) => queue.retryable,
    number: true,
    hide: "narrow",
    width: "7rem",
  },
  {
    id: "scheduled",
    title: "Scheduled",
    cell: (queue) => short(queue.scheduled + queue.pending),
    by: (queue) => queue.scheduled + queue.pending,
    number: true,
    hide: "medium",
    width: "7rem",
  },
  {
    id: "age",
    title: "Oldest",
    cell: (queue) => {
      const ms = age(queue);
      return ms === null ? <span class="faint">–</span> : span(ms);
    },
    by: (queue) => age(queue) ?? -1,
    number: true,
    hide: "narrow",
    width: "6.5rem",
  },
  {
    id: "completed",
    title: "Completed",
    cell: (queue) => short(queue.completed),
    by: (queue) => queue.completed,
    number: true,
    hide: "medium",
    width: "7rem",
  },
  {
    id: "discarded",
    title: "Discarded",
    cell: (queue) => short(queue.discarded),
    by: (queue) => queue.discarded,
    number: true,
    hide: "medium",
    width: "7rem",
  },
];

function row(queue: QueueView): Row {
  return {
    texts: () => [queue.name, queue.pause?.reason ?? ""],
    field: (name) => {
      switch (name) {
        case "name":
          return [queue.name];
        case "state":
          return [queue.paused_at ? "paused" : queue.executing > 0 ? "running" : "idle"];
        case "age":
          return (age(queue) ?? 0) / 1000;
        case "available":
        case "executing":
        case "retryable":
        case "scheduled":
        case "pending":
          return queue[name];
        default:
          return null;
      }
    },
  };
}

export function QueuesPage() {
  useTopics("nodes");
  const filter = useFilter(FIELDS);
  const current = useSignal<QueueView | undefined>(undefined);
  const limits = useSignal<QueueView | null>(null);
  const onCursor = useCallback((queue: QueueView | undefined) => {
    current.value = queue;
  }, []);
  const all = [...(queues.value?.values() ?? [])];
  const shown = all.filter((queue) => fits(filter.node, row(queue)) !== false);
  const chosen = queues.value?.get(query("queue"));
  const target = chosen ?? current.value;
  const commands = target ? actions(queues.value?.get(target.name) ?? target, (queue) => (limits.value = queue)) : [];
  useCommands("Queues", [
    ...commands,
    {
      name: "close",
      title: "Let go of the queue",
      keys: ["Escape"],
      when: () => chosen !== undefined,
      run: () => setQuery({ queue: null }),
    },
  ]);
  if (!queues.value) return <Empty title="Waiting for the server" />;
  const paused = all.filter((queue) => queue.paused_at).length;
  return (
    <>
      <Head title="Queues" note={`${plural(all.length, "queue")}${paused ? `, ${paused} paused` : ""}`} />
      <FilterField label="Filter the queues" hint="name, state:paused, available>100, age>5m" problem={filter.problem} />
      {chosen && <Queue queue={chosen} commands={commands} />}
      <List
        label="Queues"
        rows={shown}
        rowKey={(queue) => queue.name}
        columns={COLUMNS}
        open={(queue) => setQuery({ queue: query("queue") === queue.name ? null : queue.name })}
        selected={(queue) => queue.name === chosen?.name}
        onCursor={onCursor}
        empty={
          <Empty title={all.length > 0 ? "No queue fits" : "No queue has been used yet"}>
            {all.length === 0 && "A queue is there once a job of it is, or the configuration names it."}
          </Empty>
        }
      />
      {limits.value && <Limits queue={limits.value} close={() => (limits.value = null)} />}
    </>
  );
}

async function change(name: string, what: "pause" | "resume" | "limit", body: unknown = {}): Promise<void> {
  const changed = await send<QueueView>("POST", path`/api/v1/queues/${name}/${what}`, body);
  queues.value = new Map(queues.value ?? []).set(name, changed);
}

function actions(queue: QueueView, limit: (queue: QueueView) => void): Command[] {
  const { name } = queue;
  const paused = queue.paused_at !== undefined;
  const pause = (title: string, text: string, yes: string, then: string) =>
    ask({
      title,
      text,
      yes,
      danger: true,
      reason: true,
      run: async (reason) => {
        await change(name, "pause", { reason: reason || undefined });
        say(then);
      },
    });
  return [
    paused
      ? {
          name: "resume queue",
          title: "Let the queue go on",
          keys: ["o"],
          role: "operator",
          run: () =>
            void attempt(name, async () => {
              await change(name, "resume");
              return `${name} goes on`;
            }),
        }
      : {
          name: "pause queue",
          title: "Pause the queue",
          keys: ["P"],
          role: "operator",
          run: () =>
            pause(
              `Pause ${name}?`,
              "None of its jobs are started any more, on any node; what runs goes on.",
              "Pause",
              `${name} is paused`,
            ),
        },
    {
      name: "drain queue",
      title: "Drain the queue: pause it until nothing of it runs",
      keys: ["D"],
      role: "operator",
      when: () => !paused,
      run: () =>
        pause(
          `Drain ${name}?`,
          `It is paused; ${plural(queue.executing, "job")} of it ${queue.executing === 1 ? "runs" : "run"} and will end. The list shows how many are left.`,
          "Drain",
          `${name} drains`,
        ),
    },
    {
      name: "limit queue",
      title: "Limit the queue, or how many of its jobs a node runs at once",
      keys: ["L", "K"],
      role: "operator",
      run: () => limit(queue),
    },
    {
      name: "jobs of queue",
      title: "Show the jobs of the queue",
      keys: ["l"],
      run: () => go(href("/jobs", { q: `queue:${name}` })),
    },
  ];
}

function Queue({ queue, commands }: { queue: QueueView; commands: Command[] }) {
  const { state } = useLoaded(
    queue.name,
    (signal) => get<Series>(withQuery("/api/v1/series", { queue: queue.name }), signal),
    2_000,
  );
  const short: Record<string, string> = { P: "Pause", o: "Resume", D: "Drain", L: "Limit" };
  const { pause } = queue;
  const oldest = age(queue);
  return (
    <Panel
      title={queue.name}
      side={
        <div class="actions">
          {commands
            .filter((command) => short[command.keys?.[0] ?? ""] && (command.when?.() ?? true))
            .map((command) => (
              <Action
                key={command.name}
                text={short[command.keys?.[0] ?? ""] ?? ""}
                hotkey={command.keys?.[0]}
                run={command.run}
              />
            ))}
          <a class="button" href={href("/jobs", { q: `queue:${queue.name}` })}>
            Its jobs
          </a>
        </div>
      }
    >
      {queue.paused_at && (
        <p class="hint paused">
          {queue.executing > 0
            ? `Draining: ${plural(queue.executing, "job")} still ${queue.executing === 1 ? "runs" : "run"}. `
            : "Paused, and none of its jobs runs. "}
          {pause && (
            <>
              {pause.cause === "requested"
                ? `By ${pause.by}`
                : `By ${pause.by}, since ${pause.cause === "job_crashes" ? "its jobs" : "its actors"} crashed too often`}
              , <Ago at={queue.paused_at} />
              {pause.reason && `: ${pause.reason}`}
              {pause.crashes &&
                ` (${pause.crashes.count} crashes within ${span(pause.crashes.within_ms)}, the last one: ${pause.crashes.last.message})`}
            </>
          )}
        </p>
      )}
      <Facts
        facts={[
          ["State", <QueueState key="s" queue={queue} />],
          ["Oldest available", oldest === null ? "–" : span(oldest)],
          ["Concurrency a node", queue.concurrency || "not served here"],
          ["On all nodes", queue.max_running ?? "no limit"],
          ["Of one key", queue.max_running_per_key ?? "no limit"],
          ["Rate", queue.rate ?? "no limit"],
          ["Rate of one key", queue.rate_per_key ?? "no limit"],
          [
            "Backlog",
            `${count(queue.available + queue.scheduled + queue.retryable + queue.pending)} of ${count(queue.max_backlog)}`,
          ],
          [
            "Labels",
            queue.labels &&
              Object.entries(queue.labels)
                .map(([name, value]) => `${name}=${value}`)
                .join(", "),
          ],
        ]}
      />
      {state.value.value && (
        <div class="charts">
          <SeriesChart
            series={state.value.value}
            label={`Jobs a second of ${queue.name}`}
            format={rate}
            height={140}
            lines={[
              { label: "completed", colour: "--done" },
              { label: "failed", colour: "--dead" },
            ]}
          />
          <SeriesChart
            series={state.value.value}
            label={`Age of the oldest job of ${queue.name}`}
            format={span}
            height={140}
            lines={[{ label: "age", name: "oldest_ms", colour: "--paused" }]}
          />
        </div>
      )}
    </Panel>
  );
}

const LIMITS = [
  { name: "max_running", text: "Jobs on all nodes together, at most", hint: "5" },
  { name: "max_running_per_key", text: "Of those with the same key, at most", hint: "1" },
  { name: "rate", text: "Jobs in a time, at most", hint: "100/1m" },
  { name: "rate_per_key", text: "Of those with the same key, at most", hint: "10/1s" },
] as const;

function Limits({ queue, close }: { queue: QueueView; close: () => void }) {
  const [entered, setEntered] = useState<Record<string, string>>(() =>
    Object.fromEntries(LIMITS.map(({ name }) => [name, queue[name] === undefined ? "" : String(queue[name])])),
  );
  const [concurrency, setConcurrency] = useState(String(queue.concurrency));
  const serving = [...(nodes.value?.values() ?? [])].filter((node) => node.queues.some((one) => one.name === queue.name));
  const submit = async (event: Event) => {
    event.preventDefault();
    const value = (name: string) => {
      const text = entered[name]?.trim() ?? "";
      if (text === "") return null;
      return name.startsWith("max") ? Number(text) : text;
    };
    const body = Object.fromEntries(LIMITS.map(({ name }) => [name, value(name)]));
    const wanted = concurrency.trim();
    const done = await attempt(`The limits of ${queue.name}`, async () => {
      await change(queue.name, "limit", body);
      if (wanted !== "" && wanted !== String(queue.concurrency)) {
        const settings = { [`queues.${queue.name}.concurrency`]: wanted };
        await Promise.all(serving.map((node) => order(node.name, { action: "set", settings })));
      }
      return `${queue.name} has its limits`;
    });
    if (done) close();
  };
  return (
    <Dialog title={`Limit ${queue.name}`} close={close}>
      <form onSubmit={submit}>
        <div class="dialog-body">
          <p>What is claimed already goes on. Left empty: no limit.</p>
          {LIMITS.map(({ name, text, hint }, index) => (
            <label class="field" key={name}>
              <span>{text}</span>
              <input
                value={entered[name]}
                placeholder={hint}
                autofocus={index === 0}
                inputMode={name.startsWith("max") ? "numeric" : undefined}
                onInput={(event) => setEntered({ ...entered, [name]: event.currentTarget.value })}
              />
            </label>
          ))}
          {serving.length > 0 && (
            <label class="field">
              <span>Jobs that each node runs at once</span>
              <input value={concurrency} inputMode="numeric" onInput={(event) => setConcurrency(event.currentTarget.value)} />
              <small>
                Set on {serving.map((node) => node.name).join(", ")}, until the node ends; the configuration has it for good.
              </small>
            </label>
          )}
        </div>
        <footer class="dialog-foot">
          <button type="button" onClick={close}>
            Leave it
          </button>
          <button type="submit" class="primary">
            Set limits
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
