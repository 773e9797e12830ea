// A workflow as a graph that follows what runs.
import { useMemo } from "preact/hooks";
import { get, path, send } from "../api/client";
import type { StepState, StepView, WorkflowGraph } from "../api/types";
import { count, plural, shortId, span } from "../core/format";
import { layers } from "../core/graph";
import { useCommands } from "../core/keys";
import { useLoaded } from "../core/load";
import { go, href } from "../core/router";
import { attempt } from "../core/toasts";
import { Action, Ago, Badge, Copy, Empty, Facts, Head, Panel, type Tone, Trouble } from "../parts/basic";
import { ask } from "../parts/Dialog";
import { Steps, WorkflowBadge } from "./Workflows";

/** Steps that are drawn; the list has all of those. */
const DRAWN = 500;

const STATES: Record<StepState, { tone: Tone; letter: string }> = {
  waiting: { tone: "wait", letter: "W" },
  active: { tone: "running", letter: "A" },
  completed: { tone: "done", letter: "C" },
  failed: { tone: "dead", letter: "F" },
  cancelled: { tone: "cancelled", letter: "X" },
};

export function WorkflowPage({ id }: { id: string }) {
  const { state, reload } = useLoaded(
    id,
    (signal) => get<WorkflowGraph>(`${path`/api/v1/workflows/${id}/graph`}?limit=${DRAWN}`, signal),
    1_000,
  );
  const { value: graph, problem } = state.value;
  const workflow = graph?.workflow;
  const running = workflow?.state === "running" || workflow?.state === "cancelling";
  const name = workflow?.name ?? shortId(id);
  const cancel = () =>
    ask({
      title: `Cancel ${name}?`,
      text: "What waits is cancelled at once; what runs is told to end.",
      yes: "Cancel workflow",
      danger: true,
      run: async () => {
        await send("POST", path`/api/v1/workflows/${id}/cancel`);
        reload();
      },
    });
  const resume = () =>
    void attempt(name, async () => {
      const { steps } = await send<{ steps: number }>("POST", path`/api/v1/workflows/${id}/resume`);
      reload();
      return `${plural(steps, "step")} of ${name} run again`;
    });
  const resumable = workflow?.state === "failed" || workflow?.state === "cancelled";
  useCommands("Workflow", [
    { name: "cancel workflow", title: "Cancel the workflow", keys: ["C"], role: "operator", when: () => running, run: cancel },
    {
      name: "resume workflow",
      title: "Run what failed again and go on",
      keys: ["r"],
      role: "operator",
      when: () => resumable,
      run: resume,
    },
    {
      name: "back",
      title: "Back",
      keys: ["Escape"],
      run: () => (history.length > 1 ? history.back() : go(href("/workflows"))),
    },
  ]);
  if (!graph || !workflow) return problem ? <Trouble text={problem} retry={reload} /> : <Empty title="Looking" />;
  return (
    <>
      <Head
        title={
          <>
            {name} <WorkflowBadge state={workflow.state} />
          </>
        }
        note={
          <>
            <code>{workflow.id}</code> <Copy text={workflow.id} what="the workflow's id" />
          </>
        }
      >
        <Action
          text="Resume"
          hotkey="r"
          run={resume}
          disabled={!resumable}
          why={resumable ? undefined : "Only one that failed or was cancelled"}
        />
        <Action text="Cancel" hotkey="C" tone="danger" run={cancel} disabled={!running} />
      </Head>
      {problem && <Trouble text={problem} retry={reload} />}
      <Facts
        facts={[
          ["Steps", <Steps key="s" workflow={workflow} />],
          ["Completed", `${count(workflow.completed)} of ${count(workflow.steps)}`],
          ["Active", workflow.active > 0 ? count(workflow.active) : null],
          ["Failed", workflow.failed > 0 ? count(workflow.failed) : null],
          ["Stored", <Ago key="c" at={workflow.created_at} />],
          ["Took", workflow.finished_at && span(Date.parse(workflow.finished_at) - Date.parse(workflow.created_at))],
          [
            "At its end",
            workflow.on_end && (
              <a key="e" href={href(`/jobs/${workflow.on_end}`)}>
                a job runs
              </a>
            ),
          ],
        ]}
      />
      <Panel
        title="Graph"
        side={
          graph.truncated ? (
            <span class="faint">
              the first {count(graph.steps.length)} of {count(workflow.steps)} steps
            </span>
          ) : undefined
        }
      >
        <GraphDrawing graph={graph} />
      </Panel>
      <Panel title="Steps">
        <table class="plain">
          <thead>
            <tr>
              <th scope="col">Step</th>
              <th scope="col">State</th>
              <th scope="col" class="hide-narrow">
                Type
              </th>
              <th scope="col" class="number hide-narrow">
                Waits for
              </th>
            </tr>
          </thead>
          <tbody>
            {graph.steps.map((step) => (
              <tr key={step.number}>
                <td>
                  <a href={href(`/jobs/${step.job}`)}>{step.name}</a>
                </td>
                <td>
                  <Badge tone={STATES[step.state].tone} letter={STATES[step.state].letter} text={step.state} />
                </td>
                <td class="hide-narrow">{step.type}</td>
                <td class="number hide-narrow">{step.open || "–"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Panel>
    </>
  );
}

const STEP = { width: 176, height: 44, column: 232, row: 60 };

function GraphDrawing({ graph }: { graph: WorkflowGraph }) {
  const shape = graph.edges.map((edge) => edge.join("-")).join(",");
  // Steps change their states, not their places.
  const placed = useMemo(
    () =>
      layers(
        graph.steps.length,
        graph.edges,
        graph.steps.map((step) => step.number),
      ),
    [shape, graph.steps.length],
  );
  const at = (number: number) => {
    const { column, row } = placed.places.get(number) ?? { column: 0, row: 0 };
    return { x: column * STEP.column, y: row * STEP.row };
  };
  const width = placed.columns * STEP.column - (STEP.column - STEP.width);
  const height = placed.rows * STEP.row - (STEP.row - STEP.height);
  const states = new Map(graph.steps.map((step) => [step.number, step.state]));
  return (
    <div class="graph" tabIndex={0} role="group" aria-label="The steps and what waits for what">
      <svg width={width + 4} height={height + 4} viewBox={`-2 -2 ${width + 4} ${height + 4}`}>
        <title>The steps and what waits for what</title>
        {graph.edges.map(([from, to]) => {
          const [a, b] = [at(from), at(to)];
          const [x, y] = [a.x + STEP.width, a.y + STEP.height / 2];
          const bend = x + (b.x - x) / 2;
          return (
            <path
              key={`${from}-${to}`}
              class={`graph-line ${states.get(from) === "completed" ? "done" : states.get(from) === "active" ? "running" : ""}`}
              d={`M${x} ${y}C${bend} ${y} ${bend} ${b.y + STEP.height / 2} ${b.x} ${b.y + STEP.height / 2}`}
            />
          );
        })}
        {graph.steps.map((step) => (
          <Step key={step.number} step={step} {...at(step.number)} />
        ))}
      </svg>
    </div>
  );
}

function Step({ step, x, y }: { step: StepView; x: number; y: number }) {
  const { tone, letter } = STATES[step.state];
  const name = step.name.length > 19 ? `${step.name.slice(0, 18)}…` : step.name;
  return (
    <g class={`tree-node step ${tone}`}>
      <a href={href(`/jobs/${step.job}`)} aria-label={`${step.name}, ${step.state}`}>
        <rect class="hit" x={x} y={y} width={STEP.width} height={STEP.height} />
      </a>
      <g class="drawn" aria-hidden="true">
        <rect class="box" x={x} y={y} width={STEP.width} height={STEP.height} rx="7" />
        <circle class="bead" cx={x + 18} cy={y + 22} r="9" />
        <text class="bead-letter" x={x + 18} y={y + 26} text-anchor="middle">
          {letter}
        </text>
        <text class="tree-name" x={x + 35} y={y + 19}>
          {name}
        </text>
        <text class="tree-sub" x={x + 35} y={y + 34}>
          {step.type.length > 20 ? `${step.type.slice(0, 19)}…` : step.type}
        </text>
      </g>
    </g>
  );
}
