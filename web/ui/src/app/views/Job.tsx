// A job with all there is to know about it: its attempts over time and nodes, its log as it is written, its payload and result.
import { useSignal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { getExact, Problem, path, send } from "../api/client";
import { follow, pause } from "../api/sse";
import type { AttemptView, Comparison, JobDetail, JobLogLine, JobState, SignalView } from "../api/types";
import { now, visible } from "../core/clock";
import { ago, shortId, span, time, timeOfDay } from "../core/format";
import { canCancel, cancel, canRetry, retry } from "../core/jobs";
import { hasRedacted, type Json, JsonError, parseJson, printJson } from "../core/json";
import { useCommands } from "../core/keys";
import { useLoaded } from "../core/load";
import { go, href } from "../core/router";
import { may } from "../core/session";
import { reason, say, sayProblem } from "../core/toasts";
import { useTopics } from "../live/feed";
import { jobsChanged } from "../live/state";
import { Action, Ago, Badge, Copy, Empty, Facts, Head, JobStateBadge, Panel, type Tone, Trouble } from "../parts/basic";
import { ask, Dialog } from "../parts/Dialog";
import { JsonView } from "../parts/JsonView";

const FINAL: JobState[] = ["completed", "cancelled", "discarded"];

export function JobPage({ id }: { id: string }) {
  useTopics("jobs");
  const ended = useSignal(false);
  const { state, reload } = useLoaded(
    id,
    async (signal) => (await getExact(path`/api/v1/jobs/${id}`, signal)) as unknown as JobDetail,
    ended.value ? undefined : 1_500,
  );
  const editing = useSignal(false);
  const { value: job, problem } = state.value;
  const final = job ? FINAL.includes(job.state) : false;
  useEffect(() => {
    ended.value = final;
  }, [final]);
  const changed = jobsChanged.value.changed.some((one) => one.id === id);
  // It is loaded once for each change.
  useEffect(() => {
    if (changed) reload();
  }, [jobsChanged.value]);

  const again = () => {
    if (!job) return;
    ask({
      title: `Run ${job.type} again?`,
      text: FINAL.includes(job.state)
        ? "It runs again as a new job; this one stays as it is."
        : "It runs now and waits no longer for its time.",
      yes: "Retry",
      run: async () => {
        const made = await retry(id);
        say("It will run:", { href: href(`/jobs/${made.id}`), text: made.id });
        reload();
      },
    });
  };
  const callOff = () => {
    if (!job) return;
    ask({
      title: `Cancel ${job.type}?`,
      text: job.state === "executing" ? "It is told to end." : "It will not run.",
      yes: "Cancel job",
      danger: true,
      run: async () => {
        const { state } = await cancel(id);
        say(state === "cancelled" ? "It is cancelled" : "It was told to end");
        reload();
      },
    });
  };
  const edit = () => {
    editing.value = true;
  };
  const retryable = job !== null && canRetry(job.state);
  const cancellable = job !== null && canCancel(job.state) && !job.cancel_requested_at;
  const editable = job !== null && FINAL.includes(job.state);
  useCommands("Job", [
    { name: "retry", title: "Run it again", keys: ["r"], role: "operator", when: () => retryable, run: again },
    { name: "cancel", title: "Cancel it", keys: ["C"], role: "operator", when: () => cancellable, run: callOff },
    {
      name: "edit",
      title: "Run it again with another payload",
      keys: ["E"],
      role: "operator",
      when: () => editable,
      run: edit,
    },
    {
      name: "copy",
      title: "Copy its payload, as JSON",
      keys: ["y"],
      when: () => job !== null,
      run: () =>
        navigator.clipboard.writeText(printJson(job?.payload ?? null)).then(
          () => say("Payload copied"),
          (error) => sayProblem("Copying", error),
        ),
    },
    { name: "back", title: "Back", keys: ["Escape"], run: () => (history.length > 1 ? history.back() : go(href("/jobs"))) },
  ]);

  if (!job) return problem ? <Trouble text={problem} retry={reload} /> : <Empty title="Looking" />;
  return (
    <>
      <Head
        title={
          <>
            {job.type} <JobStateBadge state={job.state} />
          </>
        }
        note={
          <>
            <code>{job.id}</code> <Copy text={job.id} what="the job's id" />
          </>
        }
      >
        <Action text="Retry" hotkey="r" run={again} disabled={!retryable} why={retryable ? undefined : `It is ${job.state}`} />
        <Action
          text="Edit and retry"
          hotkey="E"
          run={edit}
          disabled={!editable}
          why={editable ? undefined : "Only a job that has ended"}
        />
        <Action
          text="Cancel"
          hotkey="C"
          tone="danger"
          run={callOff}
          disabled={!cancellable}
          why={cancellable ? undefined : `It is ${job.state}`}
        />
      </Head>
      {problem && <Trouble text={problem} retry={reload} />}
      {job.cancel_requested_at && job.state === "executing" && (
        <p class="hint">It was told to end {ago(job.cancel_requested_at, now.value)}.</p>
      )}
      {(job.waits_for ?? job.wait_reason) && !FINAL.includes(job.state) && (
        <p class="hint">It waits: {job.waits_for ?? job.wait_reason}</p>
      )}
      {job.progress && <Progress job={job} />}
      <Facts
        facts={[
          [
            "Queue",
            <a key="q" href={href("/queues", { queue: job.queue })}>
              {job.queue}
            </a>,
          ],
          ["Attempt", `${job.attempt} of ${job.max_attempts}`],
          ["Stored", <Ago key="c" at={job.created_at} />],
          [job.state === "scheduled" || job.state === "retryable" ? "Due" : "Available", <Ago key="s" at={job.scheduled_at} />],
          ["Began", job.started_at && <Ago key="b" at={job.started_at} />],
          ["Ended", job.finished_at && <Ago key="f" at={job.finished_at} />],
          ["Priority", job.priority !== 0 ? job.priority : null],
          ["Time limit", span(job.timeout_ms)],
          ["Partition key", job.partition_key],
          ["Needs", job.needs?.join(", ")],
          [
            "Tags",
            job.tags?.map((tag) => (
              <a class="tag" key={tag} href={href("/jobs", { q: `tag:${tag}` })}>
                {tag}
              </a>
            )),
          ],
          ["Correlation", <code key="x">{shortId(job.correlation_id)}</code>],
          [
            "Replay of",
            job.replay_of && (
              <a key="r" href={href(`/jobs/${job.replay_of}`)}>
                {shortId(job.replay_of)}
              </a>
            ),
          ],
          [
            "Same cause",
            job.cause && (
              <a key="k" href={href("/jobs", { q: `state:discarded cause:${job.cause}` })}>
                dead jobs like it
              </a>
            ),
          ],
        ]}
      />
      <Panel title="Timeline">
        <Timeline job={job} />
      </Panel>
      {job.attempts.length > 0 && (
        <Panel title="Attempts">
          <Attempts attempts={job.attempts} />
        </Panel>
      )}
      {job.state === "discarded" && <Compare id={id} />}
      <Log id={id} live={!final} />
      <div class="charts">
        <Panel title="Payload">
          <JsonView value={job.payload} what="Payload" />
        </Panel>
        {job.result !== undefined && (
          <Panel title="Result">
            <JsonView value={job.result} what="Result" />
          </Panel>
        )}
        {job.published && (
          <Panel
            title="State that it shows"
            side={
              <span class="faint">
                attempt {job.published.attempt}, {ago(job.published.at, now.value)}
              </span>
            }
          >
            <JsonView value={job.published.value} what="State that it shows" />
          </Panel>
        )}
        {job.metadata !== undefined && (
          <Panel title="Metadata">
            <JsonView value={job.metadata} what="Metadata" />
          </Panel>
        )}
      </div>
      <Signals id={id} open={!final} />
      {job.edits && (
        <Panel title="Edits">
          <ul class="lines">
            {job.edits.map((one) => (
              <li key={one.replay}>
                {one.by} made <a href={href(`/jobs/${one.replay}`)}>{shortId(one.replay)}</a> of{" "}
                <a href={href(`/jobs/${one.original}`)}>{shortId(one.original)}</a>, <Ago at={one.at} />
                {one.reason && `: ${one.reason}`}
              </li>
            ))}
          </ul>
        </Panel>
      )}
      {editing.value && (
        <EditAndRetry
          job={job}
          close={() => {
            editing.value = false;
          }}
        />
      )}
    </>
  );
}

function Progress({ job }: { job: JobDetail }) {
  const { fraction, message } = job.progress ?? { fraction: 0, message: "" };
  const part = Math.round(Math.max(0, Math.min(1, fraction)) * 100);
  return (
    <div class="progress">
      <progress value={part} max={100} aria-label="Progress" />
      <span>
        {part} % {message && <span class="faint">{message}</span>}
      </span>
    </div>
  );
}

const OUTCOMES: Record<AttemptView["outcome"], { tone: Tone; letter: string }> = {
  completed: { tone: "done", letter: "C" },
  failed: { tone: "dead", letter: "F" },
  cancelled: { tone: "cancelled", letter: "X" },
  released: { tone: "retry", letter: "B" },
};

/** When it waited, when it ran, and where. */
function Timeline({ job }: { job: JobDetail }) {
  const final = FINAL.includes(job.state);
  const begin = Date.parse(job.created_at);
  const end = Math.max(final && job.finished_at ? Date.parse(job.finished_at) : now.value, begin + 1);
  const lanes = [...new Set([...job.attempts.map((one) => one.node), ...(job.state === "executing" ? ["now"] : [])])];
  const bars = job.attempts.map((one) => ({
    lane: one.node,
    from: Date.parse(one.started_at ?? one.claimed_at),
    to: Date.parse(one.finished_at),
    tone: OUTCOMES[one.outcome].tone,
    text: `Attempt ${one.attempt} ${one.outcome} on ${one.node} after ${span(Date.parse(one.finished_at) - Date.parse(one.started_at ?? one.claimed_at))}`,
    name: String(one.attempt),
  }));
  if (job.state === "executing" && job.started_at) {
    const from = Date.parse(job.started_at);
    bars.push({
      lane: "now",
      from,
      to: end,
      tone: "running",
      text: `Attempt ${job.attempt} runs for ${span(end - from)}`,
      name: String(job.attempt),
    });
  }
  const at = (moment: number) => Math.max(0, Math.min(100, ((moment - begin) / (end - begin)) * 100));
  return (
    <div class="timeline">
      <ol class="steps">
        <Moment title="Stored" at={job.created_at} tone="wait" />
        {job.attempts.map((one) => (
          <Moment
            key={one.attempt}
            title={`Attempt ${one.attempt} ${one.outcome}`}
            at={one.finished_at}
            tone={OUTCOMES[one.outcome].tone}
            note={`${one.node}, ${span(Date.parse(one.finished_at) - Date.parse(one.started_at ?? one.claimed_at))}`}
          />
        ))}
        {!final && job.state !== "executing" && <Moment title={job.state} at={job.scheduled_at} tone="retry" />}
        {job.state === "executing" && job.started_at && (
          <Moment title={`Attempt ${job.attempt} runs`} at={job.started_at} tone="running" />
        )}
        {final && job.finished_at && (
          <Moment
            title={job.state}
            at={job.finished_at}
            tone={job.state === "completed" ? "done" : job.state === "cancelled" ? "cancelled" : "dead"}
          />
        )}
      </ol>
      {bars.length > 0 && (
        <div class="lanes">
          {lanes.map((lane) => (
            <div class="lane" key={lane}>
              <span class="lane-name">{lane}</span>
              <div class="lane-bars">
                {bars
                  .filter((bar) => bar.lane === lane)
                  .map((bar) => (
                    <span
                      key={bar.name}
                      class={`bar ${bar.tone}`}
                      role="img"
                      aria-label={bar.text}
                      title={bar.text}
                      style={{ left: `${at(bar.from)}%`, width: `max(4px, ${at(bar.to) - at(bar.from)}%)` }}
                    />
                  ))}
              </div>
            </div>
          ))}
          <div class="lane axis" aria-hidden="true">
            <span class="lane-name" />
            <div class="lane-ends">
              <span>{timeOfDay(begin)}</span>
              <span>{span(end - begin)}</span>
              <span>{final ? timeOfDay(end) : "now"}</span>
            </div>
          </div>
        </div>
      )}
    </div>
  );
}

function Moment({ title, at, tone, note }: { title: string; at: string; tone: Tone; note?: string }) {
  return (
    <li class={tone}>
      <strong>{title}</strong>
      <time dateTime={at} title={time(at)}>
        {timeOfDay(at)}
      </time>
      {note && <span class="faint">{note}</span>}
    </li>
  );
}

function Attempts({ attempts }: { attempts: AttemptView[] }) {
  return (
    <ul class="attempts">
      {[...attempts].reverse().map((one) => {
        const { tone, letter } = OUTCOMES[one.outcome];
        return (
          <li key={one.attempt}>
            <p>
              <strong>Attempt {one.attempt}</strong> <Badge tone={tone} letter={letter} text={one.outcome} /> on {one.node},{" "}
              <Ago at={one.finished_at} />
            </p>
            {one.error && (
              <>
                <p class="crash-reason">
                  <span class="faint">{one.error.kind.replace("_", " ")}:</span> {one.error.message}
                  {one.error.is_final && <span class="faint"> (no further attempt is of use)</span>}
                </p>
                {one.error.backtrace && (
                  <details>
                    <summary>Backtrace</summary>
                    <pre tabIndex={0}>{one.error.backtrace}</pre>
                  </details>
                )}
              </>
            )}
          </li>
        );
      })}
    </ul>
  );
}

/** What is different from the last one of its type that went well. */
function Compare({ id }: { id: string }) {
  const { state } = useLoaded(
    id,
    async (signal) => (await getExact(path`/api/v1/jobs/${id}/compare`, signal)) as unknown as Comparison,
  );
  const { value } = state.value;
  if (!value?.success) return null;
  const { success, differences, more_differences } = value;
  return (
    <Panel title="Beside the last success" side={<a href={href(`/jobs/${success.id}`)}>{shortId(success.id)}</a>}>
      {differences.length === 0 ? (
        <p class="faint">The payloads are the same.</p>
      ) : (
        <table class="plain wrap">
          <thead>
            <tr>
              <th scope="col">Where</th>
              <th scope="col">It succeeded with</th>
              <th scope="col">This one has</th>
            </tr>
          </thead>
          <tbody>
            {differences.map((one) => (
              <tr key={one.pointer}>
                <td>
                  <code>{one.pointer || "/"}</code>
                </td>
                <td>
                  {one.success === undefined ? <span class="faint">nothing</span> : <code>{printJson(one.success)}</code>}
                </td>
                <td>{one.job === undefined ? <span class="faint">nothing</span> : <code>{printJson(one.job)}</code>}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {more_differences && <p class="faint">And more.</p>}
    </Panel>
  );
}

/** Lines that are kept on the page. */
const MOST_LINES = 2_000;

function Log({ id, live }: { id: string; live: boolean }) {
  const [lines, setLines] = useState<JobLogLine[]>([]);
  const [said, setSaid] = useState("");
  const last = useRef("");
  const place = useRef<HTMLPreElement>(null);
  const seen = visible.value;
  useEffect(() => {
    if (!seen) return;
    const controller = new AbortController();
    const work = async () => {
      let ended = false;
      while (!controller.signal.aborted && !ended) {
        try {
          await follow(path`/api/v1/jobs/${id}/logs/stream`, {
            signal: controller.signal,
            lastEventId: last.current,
            onOpen: () => setSaid(""),
            onFrame: ({ id: position, event, data }) => {
              if (event === "end") ended = true;
              if (event !== "line") return;
              last.current = position;
              const line = JSON.parse(data) as JobLogLine;
              setLines((before) => [...before, line].slice(-MOST_LINES));
            },
          });
        } catch (error) {
          if (controller.signal.aborted) return;
          setSaid(reason(error));
          if (error instanceof Problem && error.status >= 400 && error.status < 500) return;
        }
        if (!ended) await pause(2_000, controller.signal);
      }
    };
    work();
    return () => controller.abort();
  }, [id, seen, live]);
  // A new line is why it moves.
  useEffect(() => {
    const box = place.current;
    if (box && box.scrollHeight - box.scrollTop - box.clientHeight < 120) box.scrollTop = box.scrollHeight;
  }, [lines]);
  const text = lines.map((line) => `${line.at} ${line.level} ${line.text}`).join("\n");
  return (
    <Panel title="Log" side={lines.length > 0 ? <Copy text={text} what="the log" /> : undefined}>
      {said && <Trouble text={said} />}
      {lines.length === 0 ? (
        <p class="faint">{live ? "It has said nothing yet." : "It has said nothing."}</p>
      ) : (
        <pre class="log" ref={place} tabIndex={0} role="group" aria-label="Log">
          {lines.map((line) => (
            <span key={line.position} class={`log-line ${line.level}`}>
              {line.dropped_before ? (
                <span class="faint">
                  … {line.dropped_before} lines are missing here{"\n"}
                </span>
              ) : null}
              <span class="faint">{timeOfDay(line.at)}</span>{" "}
              <span class="log-level">
                {line.attempt}·{line.level}
              </span>{" "}
              {line.text}
              {"\n"}
            </span>
          ))}
        </pre>
      )}
    </Panel>
  );
}

function Signals({ id, open }: { id: string; open: boolean }) {
  const { state, reload } = useLoaded(
    id,
    async (signal) => (await getExact(path`/api/v1/jobs/${id}/signals`, signal)) as unknown as { signals: SignalView[] },
  );
  const [name, setName] = useState("");
  const [value, setValue] = useState("");
  const signals = state.value.value?.signals ?? [];
  if (signals.length === 0 && (!open || !may("operator"))) return null;
  const submit = async (event: Event) => {
    event.preventDefault();
    try {
      if (value.trim()) parseJson(value);
      await send(
        "POST",
        path`/api/v1/jobs/${id}/signals`,
        `{"name":${JSON.stringify(name)},"value":${value.trim() || "null"}}`,
      );
      say(`Signal ${name} is stored with the job`);
      setName("");
      setValue("");
      reload();
    } catch (error) {
      sayProblem("The signal is not sent", error);
    }
  };
  return (
    <Panel title="Signals">
      {signals.length > 0 && (
        <ul class="lines">
          {signals.map((one) => (
            <li key={one.id}>
              <strong>{one.name}</strong> <code>{printJson(one.value)}</code> by {one.by}, <Ago at={one.at} />
              {one.acknowledged_at ? ", dealt with" : one.taken ? `, taken by attempt ${one.taken.attempt}` : ", not taken yet"}
            </li>
          ))}
        </ul>
      )}
      {open && may("operator") && (
        <form class="inline-form" onSubmit={submit}>
          <label class="field">
            <span>Signal</span>
            <input
              required
              pattern="[a-z0-9_.\-]{1,64}"
              placeholder="approve"
              value={name}
              onInput={(event) => setName(event.currentTarget.value)}
            />
          </label>
          <label class="field">
            <span>Value, as JSON</span>
            <input
              placeholder="null"
              value={value}
              spellcheck={false}
              onInput={(event) => setValue(event.currentTarget.value)}
            />
          </label>
          <button type="submit">Send signal</button>
        </form>
      )}
    </Panel>
  );
}

function EditAndRetry({ job, close }: { job: JobDetail; close: () => void }) {
  const before = printJson(job.payload);
  const [text, setText] = useState(before);
  const [why, setWhy] = useState("");
  const [problem, setProblem] = useState<string | null>(null);
  const secret = hasRedacted(job.payload);
  const submit = async (event: Event) => {
    event.preventDefault();
    try {
      const edited = parseJson(text);
      if (edited === null || typeof edited !== "object" || Array.isArray(edited))
        throw new JsonError("a JSON object is needed", 0);
      const rest = why.trim() ? `,"reason":${JSON.stringify(why.trim())}` : "";
      // What is hidden stays as it is: the change alone is sent then.
      const body = secret ? `{"patch":${printJson(mergePatch(job.payload, edited))}${rest}}` : `{"payload":${text}${rest}}`;
      const made = await send<{ id: string }>(
        "POST",
        path`/api/v1/jobs/${job.id}/retry`,
        text === before ? `{${rest.slice(1)}}` : body,
      );
      close();
      go(href(`/jobs/${made.id}`));
      say(`${job.type} runs again with another payload`);
    } catch (error) {
      setProblem(reason(error));
    }
  };
  return (
    <Dialog title={`Edit and retry ${job.type}`} close={close} class="wide-dialog">
      <form onSubmit={submit}>
        <div class="dialog-body">
          <p>A new job with this payload is made; this one stays as it is, and both say what was changed.</p>
          {secret && <p class="hint">Hidden values stay as they are, unless you put others in their place.</p>}
          <label class="field">
            <span>Payload, as JSON</span>
            <textarea
              class="code"
              rows={14}
              value={text}
              spellcheck={false}
              onInput={(event) => setText(event.currentTarget.value)}
            />
          </label>
          <label class="field">
            <span>Why (kept with both jobs; may stay empty)</span>
            <input value={why} maxLength={500} onInput={(event) => setWhy(event.currentTarget.value)} />
          </label>
          {problem && (
            <p class="trouble" role="alert">
              {problem}
            </p>
          )}
        </div>
        <footer class="dialog-foot">
          <button type="button" onClick={close}>
            Leave it
          </button>
          <button type="submit" class="primary">
            Retry
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

/** What turns the one into the other, as a JSON merge patch. */
function mergePatch(before: Json, after: Json): Json {
  const members = (value: Json) =>
    value !== null && typeof value === "object" && !Array.isArray(value) && !("digits" in value) ? value : null;
  const [old, fresh] = [members(before), members(after)];
  if (!old || !fresh) return after;
  const patch: { [key: string]: Json } = Object.create(null);
  for (const name of Object.keys(old)) if (!(name in fresh)) patch[name] = null;
  for (const [name, value] of Object.entries(fresh) as [string, Json][]) {
    const known = (old as { [key: string]: Json })[name];
    if (known === undefined) patch[name] = value;
    else if (printJson(known) !== printJson(value)) patch[name] = mergePatch(known, value);
  }
  return patch;
}
