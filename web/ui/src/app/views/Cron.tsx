// What comes at its times.
import { useSignal } from "@preact/signals";
import { useCallback } from "preact/hooks";
import { get, path, send } from "../api/client";
import type { CronView } from "../api/types";
import { fits, type Row } from "../core/filter";
import { count, plural, time } from "../core/format";
import { type Command, useCommands } from "../core/keys";
import { useLoaded } from "../core/load";
import { href, query, setQuery } from "../core/router";
import { attempt, say } from "../core/toasts";
import { Action, Ago, Badge, Empty, Facts, Head, Panel, type Tone, Trouble } from "../parts/basic";
import { ask } from "../parts/Dialog";
import { FilterField, useFilter } from "../parts/Filter";
import { type Column, List } from "../parts/List";

const FIELDS = ["name", "type", "state", "source", "fired", "skipped", "missed"];

const COLUMNS: Column<CronView>[] = [
  { id: "name", title: "Entry", cell: (entry) => entry.name, by: (entry) => entry.name },
  {
    id: "words",
    title: "When",
    cell: (entry) => `${entry.description}${entry.definition.time_zone === "UTC" ? "" : ` (${entry.definition.time_zone})`}`,
    hide: "narrow",
    width: "28%",
  },
  {
    id: "expression",
    title: "Expression",
    cell: (entry) => <code>{entry.definition.expression}</code>,
    hide: "medium",
    width: "9rem",
  },
  {
    id: "type",
    title: "Job",
    cell: (entry) => entry.definition.job.type,
    by: (entry) => entry.definition.job.type,
    hide: "narrow",
    width: "9rem",
  },
  {
    id: "next",
    title: "Next",
    cell: (entry) => (entry.paused_at ? <Badge tone="paused" letter="‖" text="paused" /> : <Ago at={entry.fires_at} />),
    by: (entry) => entry.fires_at ?? "~",
    number: true,
    width: "7rem",
  },
  { id: "lately", title: "Lately", cell: (entry) => <Firings entry={entry} />, hide: "medium", width: "9rem" },
  {
    id: "fired",
    title: "Fired",
    cell: (entry) => count(entry.fired),
    by: (entry) => entry.fired,
    number: true,
    hide: "medium",
    width: "6rem",
  },
];

const RESULTS: Record<CronView["firings"][number]["result"], { tone: Tone; word: string }> = {
  fired: { tone: "done", word: "fired" },
  skipped: { tone: "cancelled", word: "skipped" },
  missed: { tone: "dead", word: "missed" },
  by_hand: { tone: "running", word: "by hand" },
};

/** The last times, oldest first. */
function Firings({ entry }: { entry: CronView }) {
  const said = entry.firings.map((one) => RESULTS[one.result].word).join(", ");
  return (
    <span class="firings" role="img" aria-label={said ? `newest first: ${said}` : "never yet"}>
      {[...entry.firings].reverse().map((one) => (
        <span
          key={one.due + one.at}
          class={`pip ${RESULTS[one.result].tone}`}
          title={`${time(one.due)}: ${RESULTS[one.result].word}${one.reason ? `, ${one.reason}` : ""}`}
        />
      ))}
    </span>
  );
}

function row(entry: CronView): Row {
  return {
    texts: () => [entry.name, entry.description, entry.definition.expression, entry.definition.job.type],
    field: (name) => {
      switch (name) {
        case "name":
          return [entry.name];
        case "type":
          return [entry.definition.job.type];
        case "state":
          return [entry.paused_at ? "paused" : "waiting"];
        case "source":
          return [entry.source];
        case "fired":
        case "skipped":
        case "missed":
          return entry[name];
        default:
          return null;
      }
    },
  };
}

export function CronPage() {
  const filter = useFilter(FIELDS);
  const { state, reload } = useLoaded("cron", (signal) => get<CronView[]>("/api/v1/cron", signal), 3_000);
  const current = useSignal<CronView | undefined>(undefined);
  const onCursor = useCallback((entry: CronView | undefined) => {
    current.value = entry;
  }, []);
  const { value, problem } = state.value;
  const entries = value ?? [];
  const shown = entries.filter((entry) => fits(filter.node, row(entry)) !== false);
  const chosen = entries.find((entry) => entry.name === query("entry"));
  const target = chosen ?? entries.find((entry) => entry.name === current.value?.name);
  const commands = target ? actions(target, reload) : [];
  useCommands("Cron", [
    ...commands,
    {
      name: "close",
      title: "Let go of the entry",
      keys: ["Escape"],
      when: () => chosen !== undefined,
      run: () => setQuery({ entry: null }),
    },
  ]);
  return (
    <>
      <Head title="Cron" note={value ? plural(entries.length, "entry", "entries") : undefined} />
      <FilterField label="Filter the entries" hint="name, state:paused, missed>0" problem={filter.problem} />
      {problem && <Trouble text={problem} retry={reload} />}
      {chosen && <Entry entry={chosen} commands={commands} />}
      <List
        label="Entries"
        rows={shown}
        rowKey={(entry) => entry.name}
        columns={COLUMNS}
        open={(entry) => setQuery({ entry: query("entry") === entry.name ? null : entry.name })}
        selected={(entry) => entry.name === chosen?.name}
        onCursor={onCursor}
        empty={
          state.value.loading ? (
            <Empty title="Looking" />
          ) : entries.length > 0 ? (
            <Empty title="No entry fits" />
          ) : (
            <Empty title="Nothing comes at its times">
              An entry is made by the configuration, or by <code>callboard cron set</code>.
            </Empty>
          )
        }
      />
    </>
  );
}

function actions(entry: CronView, reload: () => void): Command[] {
  const { name } = entry;
  const tell = (what: "pause" | "resume" | "run", done: string) =>
    attempt(name, async () => {
      const said = await send<{ job_id?: string }>("POST", path`/api/v1/cron/${name}/${what}`);
      reload();
      if (!said.job_id) return done;
      say(done, { href: href(`/jobs/${said.job_id}`), text: said.job_id });
      return undefined;
    });
  return [
    entry.paused_at
      ? {
          name: "resume entry",
          title: "Let the entry go on",
          keys: ["o"],
          role: "operator",
          run: () => void tell("resume", `${name} goes on`),
        }
      : {
          name: "pause entry",
          title: "Pause the entry",
          keys: ["P"],
          role: "operator",
          run: () =>
            ask({
              title: `Pause ${name}?`,
              text: "It stores no jobs until it is let go on. Times that pass meanwhile are not made up for.",
              yes: "Pause",
              danger: true,
              run: async () => void (await tell("pause", `${name} is paused`)),
            }),
        },
    {
      name: "run entry",
      title: "Store a job of the entry now",
      keys: ["r"],
      role: "operator",
      run: () =>
        ask({
          title: `Run ${name} now?`,
          text: `A job of type ${entry.definition.job.type} is stored at once; the entry goes on waiting for its next time.`,
          yes: "Run now",
          run: async () => void (await tell("run", `${name} is stored:`)),
        }),
    },
  ];
}

function Entry({ entry, commands }: { entry: CronView; commands: Command[] }) {
  const short: Record<string, string> = { P: "Pause", o: "Resume", r: "Run now" };
  return (
    <Panel
      title={entry.name}
      side={
        <div class="actions">
          {commands.map((command) => (
            <Action
              key={command.name}
              text={short[command.keys?.[0] ?? ""] ?? ""}
              hotkey={command.keys?.[0]}
              run={command.run}
            />
          ))}
          <a class="button" href={href("/jobs", { q: `tag:cron:${entry.name}` })}>
            Its jobs
          </a>
        </div>
      }
    >
      <p class="lead">{entry.description}</p>
      <Facts
        facts={[
          ["Expression", <code key="e">{entry.definition.expression}</code>],
          ["Time zone", entry.definition.time_zone],
          ["Job", entry.definition.job.type],
          ["Overlap", entry.definition.overlap],
          ["Backfill", entry.definition.backfill],
          ["Comes from", `${entry.source}, ${entry.set_by}`],
          ["Paused", entry.paused_at && <Ago key="p" at={entry.paused_at} />],
          ["Fired", count(entry.fired)],
          ["Skipped", count(entry.skipped)],
          ["Missed", count(entry.missed)],
        ]}
      />
      <div class="charts">
        <div>
          <h3>{entry.paused_at ? "Times that it would have" : "Next times"}</h3>
          <ul class="lines">
            {entry.next_times.map((one) => (
              <li key={one.at}>
                <code>{one.local.replace("T", " ")}</code>{" "}
                <span class="faint">
                  <Ago at={one.at} />
                </span>
              </li>
            ))}
          </ul>
        </div>
        <div>
          <h3>Last times</h3>
          <ul class="lines">
            {entry.firings.map((one) => (
              <li key={one.due + one.at}>
                <Badge tone={RESULTS[one.result].tone} text={RESULTS[one.result].word} /> <Ago at={one.due} />{" "}
                {one.job_id && <a href={href(`/jobs/${one.job_id}`)}>job</a>} {one.reason}
              </li>
            ))}
          </ul>
        </div>
      </div>
    </Panel>
  );
}
