// Charts of what was measured over time.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { colours } from "../core/memory";

export interface Line {
  label: string;
  /** A colour of the style sheet. */
  colour: string;
  /** Drawn with gaps, so that lines differ by more than their colours. */
  dashed?: boolean;
  values: (number | null)[];
}

interface ChartProps {
  /** What it shows, for those who do not see it. */
  label: string;
  /** Seconds since 1970, one for each value. */
  times: number[];
  lines: Line[];
  format: (value: number) => string;
  height?: number;
}

const SYNC = uPlot.sync("time");

export function Chart({ label, times, lines, format, height = 180 }: ChartProps) {
  const holder = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const names = lines.map((line) => line.label).join(",");
  /** The place that is pointed at. */
  const pointed = useSignal<number | null>(null);
  const { value: coloured } = colours;

  // It is made anew for other lines and other colours; data is put into it.
  useEffect(() => {
    const place = holder.current;
    if (!place) return;
    const axis: uPlot.Axis = {
      stroke: resolve(place, "--text-2"),
      grid: { stroke: resolve(place, "--line"), width: 1 },
      ticks: { show: false },
      font: "11px system-ui, sans-serif",
    };
    const made = new uPlot(
      {
        width: place.clientWidth,
        height,
        cursor: { sync: { key: SYNC.key }, points: { size: 6 }, y: false, drag: { x: false, y: false } },
        legend: { show: false },
        padding: [8, 8, 0, 0],
        hooks: {
          setCursor: [
            (at) => {
              pointed.value = at.cursor.idx ?? null;
            },
          ],
        },
        scales: { x: { time: true }, y: { range: (_, __, most) => [0, most > 0 ? most * 1.1 : 1] } },
        axes: [
          { ...axis, space: 80, size: 28, values: (_, splits, __, ___, step) => splits.map((at) => clock(at, step)) },
          { ...axis, size: 58, values: (_, splits) => splits.map((value) => format(value)) },
        ],
        series: [
          {},
          ...lines.map((line) => ({
            label: line.label,
            stroke: resolve(place, line.colour),
            width: 1.75,
            dash: line.dashed ? [5, 4] : undefined,
            points: { show: false },
          })),
        ],
      },
      [times, ...lines.map((line) => line.values)],
      place,
    );
    chart.current = made;
    const resized = new ResizeObserver(() => made.setSize({ width: place.clientWidth, height }));
    resized.observe(place);
    return () => {
      resized.disconnect();
      made.destroy();
      chart.current = null;
    };
  }, [names, coloured, height]);

  useEffect(() => {
    chart.current?.setData([times, ...lines.map((line) => line.values)]);
  }, [times, lines]);

  const last = (line: Line) => line.values.findLast((value) => value !== null) ?? null;
  const said = (value: number | null | undefined) => (value === null || value === undefined ? "–" : format(value));
  const at = pointed.value;
  return (
    <figure class="chart" aria-label={`${label}: ${lines.map((line) => `${line.label} ${said(last(line))}`).join(", ")}`}>
      <div ref={holder} aria-hidden="true" />
      <figcaption aria-hidden="true">
        {lines.map((line) => (
          <span key={line.label}>
            <svg width="18" height="8" aria-hidden="true">
              <path
                d="M0 4H18"
                style={{ stroke: `var(${line.colour})` }}
                stroke-width="2"
                stroke-dasharray={line.dashed ? "5 3" : undefined}
              />
            </svg>
            {line.label} <strong>{said(at === null ? last(line) : line.values[at])}</strong>
          </span>
        ))}
        {at !== null && times[at] !== undefined && <span>{clock(times[at], 1)}</span>}
      </figcaption>
    </figure>
  );
}

/** A time of the clock here; without seconds where they say nothing. */
function clock(seconds: number, step: number): string {
  return new Date(seconds * 1000).toLocaleTimeString("en-GB", step < 60 ? {} : { hour: "2-digit", minute: "2-digit" });
}

/** A colour of the style sheet as a canvas takes it. */
function resolve(place: HTMLElement, name: string): string {
  const before = place.style.color;
  place.style.color = `var(${name})`;
  const colour = getComputedStyle(place).color;
  place.style.color = before;
  return colour;
}

/** A small line without axes. */
export function Spark({ values, label, tone }: { values: (number | null)[]; label: string; tone?: string }) {
  const width = 120;
  const height = 28;
  const known = values.filter((value): value is number => value !== null);
  const most = Math.max(...known, 0);
  const points = values.map((value, index) =>
    value === null
      ? null
      : [(index / Math.max(1, values.length - 1)) * width, height - 2 - (most > 0 ? (value / most) * (height - 4) : 0)],
  );
  let path = "";
  let open = false;
  for (const point of points) {
    if (!point) open = false;
    else {
      path += `${open ? "L" : "M"}${point[0]?.toFixed(1)} ${point[1]?.toFixed(1)}`;
      open = true;
    }
  }
  return (
    <svg
      class={`spark ${tone ?? ""}`}
      viewBox={`0 0 ${width} ${height}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
    >
      <path d={path} vector-effect="non-scaling-stroke" />
    </svg>
  );
}
