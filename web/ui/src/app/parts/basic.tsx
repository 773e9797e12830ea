// Small things that every view is made of.
import type { ComponentChildren } from "preact";
import type { JobState, Role } from "../api/types";
import { now } from "../core/clock";
import { ago, time } from "../core/format";
import { may, role } from "../core/session";
import { say } from "../core/toasts";

/** What a colour means; a letter or a word beside it always says the same. */
export type Tone = "plain" | "wait" | "done" | "running" | "retry" | "dead" | "cancelled" | "paused";

const JOB: Record<JobState, { tone: Tone; letter: string }> = {
  pending: { tone: "wait", letter: "P" },
  scheduled: { tone: "wait", letter: "S" },
  available: { tone: "wait", letter: "A" },
  executing: { tone: "running", letter: "E" },
  retryable: { tone: "retry", letter: "R" },
  completed: { tone: "done", letter: "C" },
  cancelled: { tone: "cancelled", letter: "X" },
  discarded: { tone: "dead", letter: "D" },
};

export function toneOf(state: JobState): Tone {
  return JOB[state]?.tone ?? "plain";
}

/** The state of a job. */
export function JobStateBadge({ state }: { state: JobState }) {
  const { tone, letter } = JOB[state] ?? { tone: "plain", letter: "?" };
  return <Badge tone={tone} letter={letter} text={state} />;
}

/** A word with a meaning. */
export function Badge({ tone, letter, text }: { tone: Tone; letter?: string; text: string }) {
  return (
    <span class={`badge ${tone}`}>
      {letter && (
        <span class="letter" aria-hidden="true">
          {letter}
        </span>
      )}
      {text}
    </span>
  );
}

/** How long ago something was, with the time itself at hand. */
export function Ago({ at }: { at: string | undefined }) {
  if (!at) return <span class="faint">–</span>;
  return (
    <time dateTime={at} title={time(at)}>
      {ago(at, now.value)}
    </time>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children && <p>{children}</p>}
    </div>
  );
}

/** What could not be loaded, and why. */
export function Trouble({ text, retry }: { text: string; retry?: () => void }) {
  return (
    <div class="trouble" role="alert">
      <span>{text}</span>
      {retry && (
        <button type="button" class="small" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

interface ActionProps {
  text: string;
  run: () => void;
  /** The key that does the same. */
  hotkey?: string;
  needs?: Role;
  tone?: "danger" | "primary" | "quiet";
  disabled?: boolean;
  why?: string;
}

/** A button that changes something. Whoever may not is told what is needed. */
export function Action({ text, run, hotkey, needs = "operator", tone, disabled, why }: ActionProps) {
  const allowed = may(needs);
  const title = allowed ? why : `Your role is ${role.value}; this needs ${needs}`;
  return (
    <button type="button" class={tone ?? ""} disabled={!allowed || disabled} title={title} onClick={run}>
      {text}
      {hotkey && allowed && <kbd>{hotkey}</kbd>}
    </button>
  );
}

/** A button that copies a text. */
export function Copy({ text, what }: { text: string; what: string }) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      say(`${what} copied`);
    } catch {
      say("the browser does not let the page copy; mark the text instead", undefined, "dead");
    }
  };
  return (
    <button type="button" class="small quiet" onClick={copy} aria-label={`Copy ${what}`}>
      Copy
    </button>
  );
}

/** A part of a page with a heading. */
export function Panel({
  title,
  side,
  children,
  id,
}: {
  title: string;
  side?: ComponentChildren;
  children: ComponentChildren;
  id?: string;
}) {
  const heading = `h-${id ?? title.toLowerCase().replace(/\W+/g, "-")}`;
  return (
    <section class="panel" aria-labelledby={heading}>
      <header class="panel-head">
        <h2 id={heading}>{title}</h2>
        {side}
      </header>
      {children}
    </section>
  );
}

/** What a page begins with. */
export function Head({
  title,
  note,
  children,
}: {
  title: ComponentChildren;
  note?: ComponentChildren;
  children?: ComponentChildren;
}) {
  return (
    <header class="head">
      <div class="head-title">
        <h1>{title}</h1>
        {note && <p class="note">{note}</p>}
      </div>
      {children && <div class="actions">{children}</div>}
    </header>
  );
}

/** Names and values. */
export function Facts({ facts }: { facts: [string, ComponentChildren][] }) {
  return (
    <dl class="facts">
      {facts
        .filter(([, value]) => value !== null && value !== undefined && value !== "")
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}
