// The jobs: any number of them, filtered, sorted, marked, and dealt with many at a time.
import { useSignal } from "@preact/signals";
import { useCallback, useEffect, useMemo } from "preact/hooks";
import type { JobState, JobSummary } from "../api/types";
import { JOB_STATES } from "../api/types";
import { now } from "../core/clock";
import type { Node } from "../core/filter";
import { coarse, count, plural, short, shortId, span } from "../core/format";
import { canCancel, cancel, canRetry, forServer, JOB_FIELDS, ran, retry } from "../core/jobs";
import { useCommands } from "../core/keys";
import { href, query, setQuery } from "../core/router";
import { say, reason as why } from "../core/toasts";
import { useTopics } from "../live/feed";
import { useJobs } from "../live/jobs";
import { overview } from "../live/state";
import { BulkOperations, startBulk } from "../parts/Bulk";
import { Action, Ago, Empty, Head, JobStateBadge, Trouble, toneOf } from "../parts/basic";
import { ask } from "../parts/Dialog";
import { FilterField, useFilter } from "../parts/Filter";
import { type Column, List } from "../parts/List";

/** Requests at a time when something is done with many jobs. */
const AT_ONCE = 4;

const COLUMNS: Column<JobSummary>[] = [
  { id: "type", title: "Type", cell: (job) => job.type, by: (job) => job.type, width: "19%" },
  {
    id: "state",
    title: "State",
    cell: (job) => <JobStateBadge state={job.state} />,
    by: (job) => JOB_STATES.indexOf(job.state),
    width: "8.5rem",
  },
  { id: "queue", title: "Queue", cell: (job) => job.queue, by: (job) => job.queue, hide: "narrow", width: "7rem" },
  {
    id: "attempt",
    title: "Attempt",
    cell: (job) => `${job.attempt}/${job.max_attempts}`,
    by: (job) => job.attempt,
    number: true,
    hide: "narrow",
    width: "5rem",
  },
  {
    id: "ran",
    title: "Ran",
    cell: (job) => <Ran job={job} />,
    by: (job) => ran(job, Date.now()) ?? -1,
    number: true,
    hide: "narrow",
    width: "5.5rem",
  },
  {
    id: "age",
    title: "Stored",
    cell: (job) => <Ago at={job.created_at} />,
    by: (job) => -Date.parse(job.created_at),
    number: true,
    hide: "narrow",
    width: "6.5rem",
  },
  { id: "tags", title: "Tags and errors", cell: (job) => <Remarks job={job} />, hide: "medium" },
  { id: "id", title: "Id", cell: (job) => <code class="faint">{shortId(job.id)}</code>, hide: "medium", width: "6.5rem" },
];

function Ran({ job }: { job: JobSummary }) {
  const ms = ran(job, now.value);
  return <>{ms === null ? <span class="faint">–</span> : span(ms)}</>;
}

function Remarks({ job }: { job: JobSummary }) {
  if (job.last_error && job.state !== "completed") {
    const kind = job.state === "retryable" || job.state === "discarded" ? `remark ${toneOf(job.state)}` : "faint";
    return <span class={kind}>{job.last_error}</span>;
  }
  if (job.state === "scheduled") return <span class="faint">due {coarseUntil(job.scheduled_at)}</span>;
  if (job.wait_reason) return <span class="faint">{job.wait_reason}</span>;
  return (
    <>
      {job.tags?.map((tag) => (
        <span class="tag" key={tag}>
          {tag}
        </span>
      ))}
    </>
  );
}

function coarseUntil(at: string): string {
  const ms = Date.parse(at) - now.value;
  return ms > 0 ? `in ${coarse(ms)}` : "now";
}

export function JobsPage() {
  useTopics("jobs");
  const filter = useFilter(JOB_FIELDS);
  const marks = useSignal<ReadonlySet<string>>(new Set());
  const list = useJobs(filter.node, query("q"));
  const { jobs, loading, problem, done, looked, whole, more } = list.state.value;
  const current = useSignal<JobSummary | undefined>(undefined);
  const onCursor = useCallback((job: JobSummary | undefined) => {
    current.value = job;
  }, []);
  // Marks of jobs that are not shown any more would be acted on unseen.
  useEffect(() => {
    marks.value = new Set();
  }, [query("q")]);

  const chosen = (): JobSummary[] => {
    if (marks.value.size > 0) return jobs.filter((job) => marks.value.has(job.id));
    return current.value ? [current.value] : [];
  };
  const each = (action: "retry" | "cancel") => {
    const able = chosen().filter((job) => (action === "retry" ? canRetry : canCancel)(job.state));
    const left = chosen().length - able.length;
    if (able.length === 0) {
      say(`None of these jobs can be ${action === "retry" ? "run again" : "cancelled"} now`, undefined, "dead");
      return;
    }
    const first = able[0];
    const what = able.length === 1 && first ? `${first.type} ${shortId(first.id)}` : plural(able.length, "job");
    ask({
      title: action === "retry" ? `Run ${what} again?` : `Cancel ${what}?`,
      text:
        (action === "retry"
          ? "What waits for its time runs now; a finished job runs again as a new one."
          : "What waits is cancelled at once; what runs is told to end.") +
        (left > 0 ? ` ${plural(left, "marked job")} cannot be and ${left === 1 ? "is" : "are"} left out.` : ""),
      yes: action === "retry" ? `Retry ${count(able.length)}` : `Cancel ${count(able.length)}`,
      danger: action === "cancel",
      run: async () => {
        const failed: string[] = [];
        const rest = [...able];
        const work = async () => {
          for (let job = rest.shift(); job; job = rest.shift()) {
            try {
              await (action === "retry" ? retry(job.id) : cancel(job.id));
              const marked = new Set(marks.value);
              marked.delete(job.id);
              marks.value = marked;
            } catch (error) {
              failed.push(why(error));
            }
          }
        };
        await Promise.all(Array.from({ length: AT_ONCE }, work));
        list.reload();
        const good = able.length - failed.length;
        if (good > 0) say(`${plural(good, "job")} ${action === "retry" ? "will run" : "cancelled"}`);
        if (failed.length > 0) say(`${plural(failed.length, "job")} left as they are: ${failed[0]}`, undefined, "dead");
      },
    });
  };
  const server = forServer(filter.node);
  const bulkable = server.whole && (server.filter.state || server.filter.cause) && jobs.length > 0;
  const all = (action: "retry" | "cancel") =>
    startBulk(action, {
      ...server.filter,
      state: server.filter.state?.split(",") as JobState[] | undefined,
    });

  useCommands("Jobs", [
    {
      name: "retry",
      title: "Run the marked jobs, or this one, again",
      keys: ["r"],
      role: "operator",
      when: () => chosen().length > 0,
      run: () => each("retry"),
    },
    {
      name: "cancel",
      title: "Cancel the marked jobs, or this one",
      keys: ["C"],
      role: "operator",
      when: () => chosen().length > 0,
      run: () => each("cancel"),
    },
    {
      name: "bulk",
      title: "Run all jobs again that fit the filter, also those that are not loaded",
      keys: ["B"],
      role: "operator",
      when: () => Boolean(bulkable),
      run: () => void all("retry"),
    },
    {
      name: "bulk cancel",
      title: "Cancel all jobs that fit the filter, also those that are not loaded",
      role: "operator",
      when: () => Boolean(bulkable),
      run: () => void all("cancel"),
    },
    {
      name: "clear filter",
      title: "Take the filter away",
      keys: ["Escape"],
      when: () => marks.value.size === 0 && query("q") !== "",
      run: () => setQuery({ q: null }),
    },
  ]);

  const empty = loading ? (
    <Empty title="Looking" />
  ) : query("q") ? (
    <Empty title="No job fits">{whole ? "Nothing like that is stored." : `None among the newest ${count(looked)}.`}</Empty>
  ) : (
    <Empty title="No jobs yet">
      Press <kbd>N</kbd> to add one, or send one: <code>callboard jobs submit</code>
    </Empty>
  );
  return (
    <>
      <Head title="Jobs" note={<Found whole={whole} found={jobs.length} looked={looked} done={done} />}>
        {bulkable && (
          <>
            <Action text="Retry all that fit" hotkey="B" run={() => all("retry")} />
            <Action text="Cancel all that fit" run={() => all("cancel")} tone="danger" />
          </>
        )}
      </Head>
      <FilterField label="Filter the jobs" hint="state:retryable queue:mail attempt>3 and age<1h" problem={filter.problem} />
      <StateChips node={filter.node} />
      <BulkOperations />
      {problem && <Trouble text={problem} retry={list.reload} />}
      {more > 0 && (
        <button type="button" class="newer" onClick={list.reload}>
          {plural(more, "change")} not shown yet: show the newest
        </button>
      )}
      {marks.value.size > 0 && (
        <div class="marked" role="status">
          <strong>{count(marks.value.size)} marked</strong>
          <Action text="Retry" hotkey="r" run={() => each("retry")} />
          <Action text="Cancel" hotkey="C" run={() => each("cancel")} tone="danger" />
          <button
            type="button"
            class="quiet"
            onClick={() => {
              marks.value = new Set();
            }}
          >
            Take the marks off
          </button>
        </div>
      )}
      <List
        label="Jobs"
        rows={jobs}
        rowKey={(job) => job.id}
        columns={COLUMNS}
        address={(job) => href(`/jobs/${job.id}`)}
        marks={marks}
        onEnd={list.further}
        onCursor={onCursor}
        empty={empty}
      />
      {jobs.length > 0 && !done && (
        <p class="further">
          <button type="button" onClick={list.further} disabled={loading}>
            {loading ? "Looking" : whole ? "More" : "Look further back"}
          </button>
        </p>
      )}
    </>
  );
}

function Found({ whole, found, looked, done }: { whole: boolean; found: number; looked: number; done: boolean }) {
  if (!whole)
    return <>{`${plural(found, "job")} found in the newest ${count(looked)} looked through${done ? ", which are all" : ""}`}</>;
  return <>{done ? plural(found, "job") : `the newest ${count(found)}, newest first`}</>;
}

/** A press away: jobs in one state. */
function StateChips({ node }: { node: Node }) {
  const totals = overview.value?.totals;
  const text = query("q");
  const chosen = useMemo(() => forServer(node).filter.state?.split(",") ?? [], [node]);
  const rest = text.replace(/(^|\s)state:\S+/g, "").trim();
  return (
    <ul class="chips" aria-label="States">
      {JOB_STATES.map((state) => {
        const on = chosen.includes(state);
        const next = on ? chosen.filter((one) => one !== state) : [...chosen, state];
        const q = [next.length > 0 ? `state:${next.join(",")}` : "", rest].filter(Boolean).join(" ");
        return (
          <li key={state}>
            <button type="button" class={`chip ${toneOf(state)}`} aria-pressed={on} onClick={() => setQuery({ q })}>
              {state}
              {totals && <span title={count(totals[state])}>{short(totals[state])}</span>}
            </button>
          </li>
        );
      })}
    </ul>
  );
}
