// Charts of what was measured over time.
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
  const { value: coloured } = colours;

  // biome-ignore lint/correctness/useExhaustiveDependencies: it is made anew for other lines and other colours; data is put into it.
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
        legend: { live: true },
        scales: { x: { time: true }, y: { range: (_, __, most) => [0, most > 0 ? most * 1.1 : 1] } },
        axes: [
          { ...axis, space: 70 },
          { ...axis, size: 58, values: (_, splits) => splits.map((value) => format(value)) },
        ],
        series: [
          { value: (_, at) => (at === null ? "–" : new Date(at * 1000).toLocaleTimeString("en-GB")) },
          ...lines.map((line) => ({
            label: line.label,
            stroke: resolve(place, line.colour),
            width: 1.75,
            dash: line.dashed ? [5, 4] : undefined,
            points: { show: false },
            value: (_: uPlot, value: number | null) => (value === null ? "–" : format(value)),
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

  const said = lines.map((line) => `${line.label} ${line.values.at(-1) == null ? "unknown" : format(line.values.at(-1) as number)}`);
  return <div class="chart" ref={holder} role="img" aria-label={`${label}: ${said.join(", ")}`} />;
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
    value === null ? null : [(index / Math.max(1, values.length - 1)) * width, height - 2 - (most > 0 ? (value / most) * (height - 4) : 0)],
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
    <svg class={`spark ${tone ?? ""}`} viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label={label}>
      <path d={path} vector-effect="non-scaling-stroke" />
    </svg>
  );
}
