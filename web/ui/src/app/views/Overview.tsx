// How everything is, at a glance.
import { get, withQuery } from "../api/client";
import type { JobState, Overview, Series } from "../api/types";
import { now } from "../core/clock";
import { ago, count, plural, rate, short, span, time } from "../core/format";
import { useLoaded } from "../core/load";
import { href, query, setQuery } from "../core/router";
import { useTopics } from "../live/feed";
import { nodes, overview, queues } from "../live/state";
import { Badge, Empty, Head, Panel, Trouble } from "../parts/basic";
import { Chart, type Line, Spark } from "../parts/Chart";

const TILES: { state: JobState; tone: string; title: string; series?: string }[] = [
  { state: "available", tone: "wait", title: "Available", series: "available" },
  { state: "executing", tone: "running", title: "Executing", series: "executing" },
  { state: "retryable", tone: "retry", title: "Retryable", series: "retryable" },
  { state: "scheduled", tone: "wait", title: "Scheduled" },
  { state: "completed", tone: "done", title: "Completed", series: "completed" },
  { state: "discarded", tone: "dead", title: "Discarded", series: "failed" },
  { state: "cancelled", tone: "cancelled", title: "Cancelled", series: "cancelled" },
];

const RANGES = [
  { id: "1s", text: "10 min", every: 2_000 },
  { id: "10s", text: "2 h", every: 10_000 },
  { id: "1m", text: "24 h", every: 60_000 },
] as const;

export function OverviewPage() {
  useTopics("nodes");
  const known = overview.value;
  const range = RANGES.find(({ id }) => id === query("range")) ?? RANGES[0];
  const { state } = useLoaded(
    range.id,
    (signal) => get<Series>(withQuery("/api/v1/series", { resolution: range.id }), signal),
    range.every,
  );
  if (!known) return <Empty title="Waiting for the server" />;
  const series = state.value.value;
  return (
    <>
      <Head title="Overview" note={`${known.node}, ${known.version}, up for ${span(now.value - Date.parse(known.started_at))}`}>
        <Readiness overview={known} />
      </Head>
      <Alerts overview={known} />
      <ul class="tiles">
        {TILES.map((tile) => (
          <li key={tile.state}>
            <a class={`tile ${tile.tone}`} href={href("/jobs", { q: `state:${tile.state}` })}>
              <span class="tile-title">{tile.title}</span>
              <span class="tile-number" title={count(known.totals[tile.state])}>
                {short(known.totals[tile.state])}
              </span>
              {tile.series && series?.points[tile.series] && (
                <Spark values={series.points[tile.series]?.slice(-120) ?? []} label={`${tile.title} lately`} tone={tile.tone} />
              )}
            </a>
          </li>
        ))}
      </ul>
      <div class="ranges" role="group" aria-label="How far the charts reach back">
        {RANGES.map(({ id, text }) => (
          <button
            key={id}
            type="button"
            class="small"
            aria-pressed={id === range.id}
            onClick={() => setQuery({ range: id === "1s" ? null : id })}
          >
            {text}
          </button>
        ))}
      </div>
      {state.value.problem && !series && <Trouble text={`The charts cannot be drawn: ${state.value.problem}`} />}
      <div class="charts">
        <Panel title="Jobs a second" side={<Rates overview={known} />}>
          <SeriesChart
            series={series}
            label="Jobs a second"
            format={rate}
            lines={[
              { label: "submitted", colour: "--wait", dashed: true },
              { label: "completed", colour: "--done" },
              { label: "failed", colour: "--dead" },
              { label: "retried", colour: "--retry", dashed: true },
            ]}
          />
        </Panel>
        <Panel title="Waiting and running" side={<Latency overview={known} />}>
          <SeriesChart
            series={series}
            label="How long jobs wait and run"
            format={span}
            lines={[
              { label: "wait p50", name: "wait_p50_ms", colour: "--wait" },
              { label: "wait p99", name: "wait_p99_ms", colour: "--wait", dashed: true },
              { label: "run p50", name: "run_p50_ms", colour: "--running" },
              { label: "run p99", name: "run_p99_ms", colour: "--running", dashed: true },
            ]}
          />
        </Panel>
        <Panel title="Depth">
          <SeriesChart
            series={series}
            label="Jobs that wait and run"
            format={short}
            lines={[
              { label: "available", colour: "--wait" },
              { label: "executing", colour: "--running" },
              { label: "retryable", colour: "--retry", dashed: true },
            ]}
          />
        </Panel>
        <Panel title="Age of the oldest available job">
          <SeriesChart
            series={series}
            label="Age of the oldest available job"
            format={span}
            lines={[{ label: "age", name: "oldest_ms", colour: "--paused" }]}
          />
        </Panel>
      </div>
      <div class="charts">
        <QueueSummary />
        <NodeSummary />
      </div>
    </>
  );
}

type Wanted = Omit<Line, "values"> & { name?: string };

export function SeriesChart(props: {
  series: Series | null;
  label: string;
  lines: Wanted[];
  format: (value: number) => string;
  height?: number;
}) {
  const { series, label, lines, format, height } = props;
  const length = Object.values(series?.points ?? {})[0]?.length ?? 0;
  if (!series || length === 0) return <div class="chart-empty">No measurements yet</div>;
  const end = Date.parse(series.end);
  const times = Array.from({ length }, (_, index) => (end - (length - 1 - index) * series.resolution_ms) / 1000);
  const drawn = lines.map((line) => ({ ...line, values: series.points[line.name ?? line.label] ?? Array(length).fill(null) }));
  return <Chart label={label} times={times} lines={drawn} format={format} height={height} />;
}

function Readiness({ overview: { readiness } }: { overview: Overview }) {
  const tone = { ready: "done", starting: "retry", degraded: "dead", stopping: "cancelled" }[readiness.status] ?? "plain";
  return <Badge tone={tone as "done"} letter={tone === "done" ? "✓" : "!"} text={readiness.status} />;
}

/** Times within a text of the server. */
const MOMENT = /\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g;

function Alerts({ overview: { alerts } }: { overview: Overview }) {
  if (alerts.length === 0) return null;
  return (
    <Panel title="Alerts">
      <ul class="alerts">
        {alerts.map((alert) => (
          <li key={`${alert.source}${alert.subject}${alert.text}`} class={alert.severity}>
            <Badge tone={alert.severity === "critical" ? "dead" : "retry"} letter="!" text={alert.severity} />
            <span>
              <strong>{alert.subject}</strong> {alert.text.replace(MOMENT, (at) => time(at))}
            </span>
            {alert.since && <span class="faint">{ago(alert.since, now.value)}</span>}
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function Rates({ overview: { rates } }: { overview: Overview }) {
  return (
    <p class="figures">
      <strong>{rate(rates.completed)}</strong> completed · <strong>{rate(rates.failed)}</strong> failed
    </p>
  );
}

function Latency({ overview: { wait, run } }: { overview: Overview }) {
  return (
    <p class="figures">
      wait p99 <strong>{wait ? span(wait.p99_ms) : "–"}</strong> · run p99 <strong>{run ? span(run.p99_ms) : "–"}</strong>
    </p>
  );
}

function QueueSummary() {
  const all = [...(queues.value?.values() ?? [])];
  return (
    <Panel title="Queues" side={<a href={href("/queues")}>All queues</a>}>
      {all.length === 0 ? (
        <Empty title="No queue has been used yet" />
      ) : (
        <table class="plain">
          <thead>
            <tr>
              <th scope="col">Queue</th>
              <th scope="col" class="number">
                Available
              </th>
              <th scope="col" class="number">
                Executing
              </th>
              <th scope="col" class="number">
                Oldest
              </th>
            </tr>
          </thead>
          <tbody>
            {all.slice(0, 8).map((queue) => (
              <tr key={queue.name}>
                <td>
                  <a href={href("/queues", { queue: queue.name })}>{queue.name}</a>{" "}
                  {queue.paused_at && <Badge tone="paused" letter="‖" text="paused" />}
                </td>
                <td class="number">{short(queue.available)}</td>
                <td class="number">{short(queue.executing)}</td>
                <td class="number">
                  {queue.oldest_available_at ? span(Math.max(0, now.value - Date.parse(queue.oldest_available_at))) : "–"}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Panel>
  );
}

function NodeSummary() {
  const all = [...(nodes.value?.values() ?? [])];
  const running = all.reduce((sum, node) => sum + node.running, 0);
  return (
    <Panel title="Nodes" side={<a href={href("/nodes")}>{plural(all.length, "node")}</a>}>
      <table class="plain">
        <thead>
          <tr>
            <th scope="col">Node</th>
            <th scope="col">State</th>
            <th scope="col" class="number">
              Runs
            </th>
            <th scope="col" class="number">
              At most
            </th>
          </tr>
        </thead>
        <tbody>
          {all.slice(0, 8).map((node) => (
            <tr key={node.session}>
              <td>
                {node.name} {node.leads && <span class="faint">leads</span>}
              </td>
              <td>
                <NodeState state={node.state} />
              </td>
              <td class="number">{node.running}</td>
              <td class="number">{node.capacity}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {all.length > 8 && (
        <p class="faint">
          and {all.length - 8} more, {running} jobs in all
        </p>
      )}
    </Panel>
  );
}

export function NodeState({ state }: { state: string }) {
  const tones = { ready: "done", paused: "paused", draining: "retry", too_old: "dead", silent: "dead" } as const;
  const letters = { ready: "✓", paused: "‖", draining: "↓", too_old: "!", silent: "!" } as const;
  const known = state as keyof typeof tones;
  return <Badge tone={tones[known] ?? "plain"} letter={letters[known]} text={state.replace("_", " ")} />;
}
