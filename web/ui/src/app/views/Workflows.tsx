// Jobs that wait for each other.
import { get, withQuery } from "../api/client";
import type { WorkflowState, WorkflowView } from "../api/types";
import { plural, shortId, span } from "../core/format";
import { useLoaded } from "../core/load";
import { href, query, setQuery } from "../core/router";
import { Ago, Badge, Empty, Head, type Tone, Trouble } from "../parts/basic";
import { type Column, List } from "../parts/List";

const STATES: Record<WorkflowState, { tone: Tone; letter: string }> = {
  running: { tone: "running", letter: "R" },
  cancelling: { tone: "cancelled", letter: "X" },
  completed: { tone: "done", letter: "C" },
  failed: { tone: "dead", letter: "F" },
  cancelled: { tone: "cancelled", letter: "X" },
};

export function WorkflowBadge({ state }: { state: WorkflowState }) {
  return <Badge tone={STATES[state].tone} letter={STATES[state].letter} text={state} />;
}

/** How many of its steps are where. */
export function Steps({ workflow }: { workflow: WorkflowView }) {
  const parts = [
    { name: "completed", tone: "done", steps: workflow.completed },
    { name: "active", tone: "running", steps: workflow.active },
    { name: "failed", tone: "dead", steps: workflow.failed },
    { name: "cancelled", tone: "cancelled", steps: workflow.cancelled },
    { name: "waiting", tone: "wait", steps: workflow.waiting },
  ].filter((part) => part.steps > 0);
  const said = parts.map((part) => `${part.steps} ${part.name}`).join(", ");
  return (
    <span class="shares" role="img" aria-label={said} title={said}>
      {parts.map((part) => (
        <span key={part.name} class={part.tone} style={{ flexGrow: part.steps }} />
      ))}
    </span>
  );
}

const COLUMNS: Column<WorkflowView>[] = [
  { id: "name", title: "Workflow", cell: (one) => one.name ?? shortId(one.id), by: (one) => one.name ?? one.id },
  { id: "state", title: "State", cell: (one) => <WorkflowBadge state={one.state} />, by: (one) => one.state, width: "8.5rem" },
  { id: "progress", title: "Steps", cell: (one) => <Steps workflow={one} />, hide: "narrow", width: "24%" },
  {
    id: "done",
    title: "Done",
    cell: (one) => `${one.completed}/${one.steps}`,
    by: (one) => one.completed / Math.max(1, one.steps),
    number: true,
    width: "6rem",
  },
  {
    id: "took",
    title: "Took",
    cell: (one) =>
      one.finished_at ? span(Date.parse(one.finished_at) - Date.parse(one.created_at)) : <span class="faint">–</span>,
    number: true,
    hide: "medium",
    width: "7rem",
  },
  {
    id: "age",
    title: "Stored",
    cell: (one) => <Ago at={one.created_at} />,
    by: (one) => -Date.parse(one.created_at),
    number: true,
    hide: "narrow",
    width: "7rem",
  },
];

const FILTERS: WorkflowState[] = ["running", "cancelling", "completed", "failed", "cancelled"];

export function WorkflowsPage() {
  const state = query("state");
  const limit = Math.min(1000, Number(query("limit")) || 100);
  const { state: loaded, reload } = useLoaded(
    `${state} ${limit}`,
    (signal) =>
      get<{ workflows: WorkflowView[]; next_cursor?: string }>(withQuery("/api/v1/workflows", { state, limit }), signal),
    2_000,
  );
  const { value, problem, loading } = loaded.value;
  const workflows = value?.workflows ?? [];
  return (
    <>
      <Head
        title="Workflows"
        note={value ? (value.next_cursor ? `the newest ${workflows.length}` : plural(workflows.length, "workflow")) : undefined}
      />
      <ul class="chips" aria-label="States">
        {FILTERS.map((one) => (
          <li key={one}>
            <button
              type="button"
              class={`chip ${STATES[one].tone}`}
              aria-pressed={state === one}
              onClick={() => setQuery({ state: state === one ? null : one })}
            >
              {one}
            </button>
          </li>
        ))}
      </ul>
      {problem && <Trouble text={problem} retry={reload} />}
      <List
        label="Workflows"
        rows={workflows}
        rowKey={(one) => one.id}
        columns={COLUMNS}
        address={(one) => href(`/workflows/${one.id}`)}
        onEnd={value?.next_cursor && limit < 1000 ? () => setQuery({ limit: String(Math.min(1000, limit * 2)) }) : undefined}
        empty={
          loading ? (
            <Empty title="Looking" />
          ) : state ? (
            <Empty title={`No workflow is ${state}`} />
          ) : (
            <Empty title="No workflows yet">
              Jobs that wait for each other are submitted together: <code>callboard workflows submit</code>
            </Empty>
          )
        }
      />
    </>
  );
}
