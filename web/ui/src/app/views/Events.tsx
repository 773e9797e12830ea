// The events, as they happen.
import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { follow, pause } from "../api/sse";
import type { EventRecord } from "../api/types";
import { visible } from "../core/clock";
import { fits, type Row } from "../core/filter";
import { count, plural, shortId, timeOfDay } from "../core/format";
import { parseJson, printJson } from "../core/json";
import { useCommands } from "../core/keys";
import { href, query, setQuery } from "../core/router";
import { reason } from "../core/toasts";
import { Badge, Copy, Empty, Head, Panel, type Tone, Trouble } from "../parts/basic";
import { FilterField, useFilter } from "../parts/Filter";
import { type Column, List } from "../parts/List";

const FIELDS = ["event", "queue", "type", "id", "correlation"];
/** Events that are kept on the page. */
const MOST = 1_000;
/** How often what has come is shown. */
const SHOWN_EVERY = 250;

interface Shown {
  record: EventRecord;
  text: string;
}

const TONES: Record<string, Tone> = {
  "job.completed": "done",
  "job.executed": "running",
  "job.started": "running",
  "job.failed": "dead",
  "job.retried": "retry",
  "job.attempt_failed": "retry",
  "job.cancelled": "cancelled",
};

const jobOf = ({ record }: Shown) => String(record.event.payload.id ?? "");
const typeOf = ({ record }: Shown) => String(record.event.payload.type ?? "");

const COLUMNS: Column<Shown>[] = [
  { id: "at", title: "At", cell: ({ record }) => timeOfDay(record.event.occurredAt), width: "8rem" },
  {
    id: "event",
    title: "Event",
    cell: ({ record }) => <Badge tone={TONES[record.event.eventType] ?? "wait"} text={record.event.eventType} />,
  },
  { id: "type", title: "Type", cell: typeOf, hide: "narrow", width: "24%" },
  { id: "queue", title: "Queue", cell: ({ record }) => record.queue, hide: "narrow", width: "8rem" },
  {
    id: "job",
    title: "Job",
    cell: (shown) => (
      <a href={href(`/jobs/${jobOf(shown)}`)}>
        <code>{shortId(jobOf(shown))}</code>
      </a>
    ),
    hide: "narrow",
    width: "8rem",
  },
  {
    id: "cursor",
    title: "Place",
    cell: ({ record }) => <span class="faint">{record.cursor}</span>,
    hide: "medium",
    number: true,
    width: "8rem",
  },
];

function row(shown: Shown): Row {
  const { record } = shown;
  return {
    texts: () => [shown.text],
    field: (name) => {
      switch (name) {
        case "event":
          return [record.event.eventType];
        case "queue":
          return [record.queue];
        case "type":
          return [typeOf(shown)];
        case "id":
          return [jobOf(shown)];
        case "correlation":
          return [record.event.correlationId];
        default:
          return null;
      }
    },
  };
}

export function EventsPage() {
  const filter = useFilter(FIELDS);
  const events = useSignal<Shown[]>([]);
  const said = useSignal("");
  const gap = useSignal(false);
  const held = useSignal(false);
  const come = useRef(0);
  const seen = visible.value;
  useEffect(() => {
    if (!seen) return;
    const controller = new AbortController();
    let waiting: Shown[] = [];
    let last = events.peek()[0]?.record.cursor ?? "";
    const timer = setInterval(() => {
      if (waiting.length === 0 || held.peek()) return;
      events.value = [...waiting.reverse(), ...events.peek()].slice(0, MOST);
      waiting = [];
    }, SHOWN_EVERY);
    const work = async () => {
      while (!controller.signal.aborted) {
        try {
          await follow("/api/v1/events", {
            signal: controller.signal,
            lastEventId: last,
            onOpen: () => {
              said.value = "";
            },
            onFrame: ({ id, event, data }) => {
              if (event === "reset") {
                gap.value = true;
                return;
              }
              last = id || last;
              come.current++;
              waiting = [...waiting, { record: JSON.parse(data) as EventRecord, text: data }].slice(-MOST);
            },
          });
        } catch (error) {
          if (controller.signal.aborted) return;
          said.value = reason(error);
        }
        await pause(1_500, controller.signal);
      }
    };
    work();
    return () => {
      clearInterval(timer);
      controller.abort();
    };
  }, [seen]);
  useCommands("Events", [
    {
      name: "hold",
      title: "Hold what is shown, or let it go on",
      keys: ["f"],
      run: () => {
        held.value = !held.value;
      },
    },
    {
      name: "close",
      title: "Let go of the event",
      keys: ["Escape"],
      when: () => query("event") !== "",
      run: () => setQuery({ event: null }),
    },
  ]);
  const shown = useMemo(() => events.value.filter((one) => fits(filter.node, row(one)) !== false), [events.value, filter.text]);
  const chosen = events.value.find((one) => one.record.cursor === query("event"));
  return (
    <>
      <Head
        title="Events"
        note={`${plural(come.current, "event")} since this page was opened${come.current > MOST ? `; the last ${count(MOST)} are kept` : ""}`}
      >
        <button type="button" aria-pressed={held.value} onClick={() => (held.value = !held.value)}>
          {held.value ? "Go on" : "Hold"}
          <kbd>f</kbd>
        </button>
      </Head>
      <FilterField label="Filter the events" hint="event:job.failed queue:mail" problem={filter.problem} />
      {said.value && <Trouble text={`${said.value}; trying again`} />}
      {gap.value && <p class="hint">Some events between two of these are not kept any more.</p>}
      {chosen && (
        <Panel
          title={chosen.record.event.eventType}
          side={
            <div class="actions">
              <Copy text={printJson(parseJson(chosen.text))} what="the event" />
              <button
                type="button"
                class="small quiet"
                aria-label="Esc: let go of the event"
                onClick={() => setQuery({ event: null })}
              >
                <kbd>Esc</kbd>
              </button>
            </div>
          }
        >
          <pre class="log" tabIndex={0}>
            {printJson(parseJson(chosen.text))}
          </pre>
        </Panel>
      )}
      <List
        label="Events"
        rows={shown}
        rowKey={({ record }) => record.cursor}
        columns={COLUMNS}
        open={({ record }) => setQuery({ event: query("event") === record.cursor ? null : record.cursor })}
        selected={({ record }) => record.cursor === query("event")}
        empty={
          <Empty title={events.value.length > 0 ? "No event fits" : "Waiting for events"}>
            {events.value.length === 0 && "What happens from now on is shown here."}
          </Empty>
        }
      />
    </>
  );
}
