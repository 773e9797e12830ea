// What dead jobs died of: one line a cause, so that a thousand of them are one thing to decide.
import { useSignal } from "@preact/signals";
import { useCallback } from "preact/hooks";
import { get, withQuery } from "../api/client";
import type { DeadCause } from "../api/types";
import { fits, type Row } from "../core/filter";
import { counted, plural } from "../core/format";
import { useCommands } from "../core/keys";
import { useLoaded } from "../core/load";
import { go, href } from "../core/router";
import { overview } from "../live/state";
import { BulkOperations, startBulk } from "../parts/Bulk";
import { Action, Ago, Badge, Empty, Head, Trouble } from "../parts/basic";
import { FilterField, useFilter } from "../parts/Filter";
import { type Column, List } from "../parts/List";

const FIELDS = ["type", "queue", "kind", "cause", "count"];

const COLUMNS: Column<DeadCause>[] = [
  { id: "title", title: "Cause", cell: (cause) => cause.title, by: (cause) => cause.title },
  {
    id: "kind",
    title: "Kind",
    cell: (cause) => <Badge tone="dead" letter={cause.kind === "panicked" ? "!" : "F"} text={cause.kind.replace("_", " ")} />,
    by: (cause) => cause.kind,
    hide: "narrow",
    width: "9rem",
  },
  { id: "type", title: "Type", cell: (cause) => cause.type, by: (cause) => cause.type, hide: "narrow", width: "10rem" },
  { id: "queue", title: "Queue", cell: (cause) => cause.queue, by: (cause) => cause.queue, hide: "medium", width: "8rem" },
  {
    id: "count",
    title: "Jobs",
    cell: (cause) => counted(cause.count, cause.at_least),
    by: (cause) => cause.count,
    number: true,
    width: "5.5rem",
  },
  {
    id: "first",
    title: "First",
    cell: (cause) => <Ago at={cause.first_at} />,
    by: (cause) => Date.parse(cause.first_at),
    number: true,
    hide: "medium",
    width: "7rem",
  },
  {
    id: "last",
    title: "Last",
    cell: (cause) => <Ago at={cause.last_at} />,
    by: (cause) => Date.parse(cause.last_at),
    number: true,
    width: "7rem",
  },
];

const key = (cause: DeadCause) => `${cause.type}/${cause.queue}/${cause.cause}`;

function row(cause: DeadCause): Row {
  return {
    texts: () => [cause.title, cause.type, cause.queue, cause.kind],
    field: (name) => {
      switch (name) {
        case "type":
          return [cause.type];
        case "queue":
          return [cause.queue];
        case "kind":
          return [cause.kind];
        case "cause":
          return [cause.cause];
        case "count":
          return cause.count;
        default:
          return null;
      }
    },
  };
}

export function DeadPage() {
  const filter = useFilter(FIELDS);
  const { state, reload } = useLoaded(
    "causes",
    (signal) =>
      get<{ causes: DeadCause[]; next_cursor?: string }>(withQuery("/api/v1/dead-jobs/causes", { limit: 200 }), signal),
    5_000,
  );
  const current = useSignal<DeadCause | undefined>(undefined);
  const onCursor = useCallback((cause: DeadCause | undefined) => {
    current.value = cause;
  }, []);
  const { value, problem } = state.value;
  const causes = value?.causes ?? [];
  const shown = causes.filter((cause) => fits(filter.node, row(cause)) !== false);
  const again = (cause: DeadCause) =>
    startBulk("retry", { state: ["discarded"], cause: cause.cause, type: cause.type, queue: cause.queue }).then(reload);
  useCommands("Dead jobs", [
    {
      name: "retry cause",
      title: "Run all jobs that died of this cause again",
      keys: ["r"],
      role: "operator",
      when: () => current.value !== undefined,
      run: () => current.value && void again(current.value),
    },
    {
      name: "sample",
      title: "Show the job that died of it last",
      keys: ["d"],
      when: () => current.value !== undefined,
      run: () => current.value && go(href(`/jobs/${current.value.sample}`)),
    },
  ]);
  const dead = overview.value?.totals.discarded;
  return (
    <>
      <Head
        title="Dead jobs"
        note={
          value
            ? `${plural(causes.length, "cause")}${value.next_cursor ? ", and more" : ""}${dead !== undefined ? `; ${plural(dead, "job")} failed for good so far` : ""}`
            : undefined
        }
      >
        <Action
          text="Retry this cause"
          hotkey="r"
          disabled={!current.value}
          why={current.value ? undefined : "Choose a cause first: j and k"}
          run={() => current.value && void again(current.value)}
        />
      </Head>
      <FilterField label="Filter the causes" hint="declined, type:charge-card, count>10" problem={filter.problem} />
      <BulkOperations />
      {problem && <Trouble text={problem} retry={reload} />}
      <List
        label="Causes"
        rows={shown}
        rowKey={key}
        columns={COLUMNS}
        address={(cause) =>
          href("/jobs", { q: `state:discarded cause:${cause.cause} queue:${cause.queue} type:${cause.type}` })
        }
        onCursor={onCursor}
        empty={
          state.value.loading ? (
            <Empty title="Looking" />
          ) : causes.length > 0 ? (
            <Empty title="No cause fits" />
          ) : (
            <Empty title="No dead jobs">
              A job that fails for good is shown here, together with all others that failed for the same reason.
            </Empty>
          )
        }
      />
    </>
  );
}
