// Adds a job: a form made of what the server says about its type.
import { useEffect, useRef, useState } from "preact/hooks";
import { get, Problem, send } from "../api/client";
import type { FormField, JobTypeView } from "../api/types";
import { entry, type FieldProblem, payloadOf, wanted } from "../core/form";
import { printJson } from "../core/json";
import { useLoaded } from "../core/load";
import { href } from "../core/router";
import { say } from "../core/toasts";
import { Trouble } from "./basic";
import { Dialog } from "./Dialog";

interface Options {
  queue: string;
  priority: string;
  tags: string;
  scheduled: string;
  key: string;
}

export function AddJob({ close }: { close: () => void }) {
  const { state } = useLoaded("types", (signal) => get<JobTypeView[]>("/api/v1/job-types", signal));
  const [name, setName] = useState("");
  const [entries, setEntries] = useState<ReadonlyMap<string, string>>(new Map());
  const [options, setOptions] = useState<Options>({ queue: "", priority: "", tags: "", scheduled: "", key: "" });
  const [problems, setProblems] = useState<FieldProblem[]>([]);
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const { value: types, problem: trouble } = state.value;
  const type = types?.find((one) => one.type === name) ?? types?.[0];

  // The box is open before the types are there.
  const choice = useRef<HTMLSelectElement>(null);
  const there = type !== undefined;
  useEffect(() => {
    if (there) choice.current?.focus();
  }, [there]);

  const enter = (pointer: string, text: string) => {
    const next = new Map(entries);
    if (text === "") next.delete(pointer);
    else next.set(pointer, text);
    setEntries(next);
  };
  const submit = async (event: Event) => {
    event.preventDefault();
    if (!type) return;
    setProblems([]);
    setProblem(null);
    let payload: string;
    try {
      payload = printJson(payloadOf(type.form, entries));
    } catch (found) {
      setProblems(found as FieldProblem[]);
      return;
    }
    const { queue, priority, tags, scheduled, key } = options;
    const rest: Record<string, unknown> = { type: type.type };
    if (queue) rest.queue = queue;
    if (priority) rest.priority = Number(priority);
    if (tags.trim()) rest.tags = tags.trim().split(/[\s,]+/);
    if (scheduled) rest.scheduled_at = new Date(scheduled).toISOString();
    if (key) rest.partition_key = key;
    setBusy(true);
    try {
      // The payload goes as it was entered: its numbers keep their digits.
      const body = `${JSON.stringify(rest).slice(0, -1)},"payload":${payload}}`;
      const { id } = await send<{ id: string }>("POST", "/api/v1/jobs", body);
      close();
      say(`${type.type} is stored:`, { href: href(`/jobs/${id}`), text: id });
    } catch (error) {
      setBusy(false);
      if (!(error instanceof Problem)) throw error;
      setProblems(
        error.errors.map(({ pointer, message }) => ({ pointer: pointer.replace(/^\/payload(?=\/|$)/, ""), message })),
      );
      setProblem(error.message);
    }
  };

  return (
    <Dialog title="Add job" close={close}>
      <form onSubmit={submit} noValidate>
        <div class="dialog-body">
          {trouble && <Trouble text={trouble} />}
          {types?.length === 0 && <p>This node handles no job types; ask one that does.</p>}
          {type && (
            <>
              <label class="field">
                <span>Type</span>
                <select
                  ref={choice}
                  value={type.type}
                  onChange={(event) => {
                    setName(event.currentTarget.value);
                    setEntries(new Map());
                    setProblems([]);
                  }}
                >
                  {types?.map((one) => (
                    <option key={one.type} value={one.type}>
                      {one.type}
                    </option>
                  ))}
                </select>
                <small>{type.description.split("\n")[0]}</small>
              </label>
              {type.form.fields.map((field) => (
                <Field
                  key={`${type.type}${field.pointer}`}
                  field={field}
                  value={entries.get(field.pointer) ?? ""}
                  problem={problems.find(({ pointer }) => pointer === field.pointer)?.message}
                  enter={(text) => enter(field.pointer, text)}
                />
              ))}
              <details>
                <summary>When and where</summary>
                <div class="fields">
                  <Option
                    text="Queue"
                    hint={type.queue}
                    value={options.queue}
                    set={(queue) => setOptions({ ...options, queue })}
                  />
                  <Option
                    text="Priority"
                    hint="0"
                    type="number"
                    value={options.priority}
                    set={(priority) => setOptions({ ...options, priority })}
                  />
                  <Option
                    text="Not before"
                    type="datetime-local"
                    value={options.scheduled}
                    set={(scheduled) => setOptions({ ...options, scheduled })}
                  />
                  <Option text="Tags" hint="a, b" value={options.tags} set={(tags) => setOptions({ ...options, tags })} />
                  <Option text="Partition key" value={options.key} set={(key) => setOptions({ ...options, key })} />
                </div>
              </details>
            </>
          )}
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
          <button type="submit" class="primary" disabled={busy || !type}>
            Add job
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

function Option(props: {
  text: string;
  hint?: string;
  type?: "text" | "number" | "datetime-local";
  value: string;
  set: (value: string) => void;
}) {
  return (
    <label class="field">
      <span>{props.text}</span>
      <input
        {...({ type: props.type ?? "text" } as { type: "text" })}
        value={props.value}
        placeholder={props.hint}
        onInput={(event) => props.set(event.currentTarget.value)}
      />
    </label>
  );
}

const sentence = (words: string) => `${words.charAt(0).toUpperCase()}${words.slice(1)}.`;

interface FieldProps {
  field: FormField;
  value: string;
  problem: string | undefined;
  enter: (text: string) => void;
}

function Field({ field, value, problem, enter }: FieldProps) {
  const id = `field${field.pointer.replaceAll("/", "-")}`;
  const said = `${id}-said`;
  const common = {
    id,
    value,
    "aria-invalid": problem ? true : undefined,
    "aria-describedby": said,
    "aria-required": field.required || undefined,
  };
  const unless = field.default === undefined ? "" : `Left empty: ${entry(field.default)}`;
  return (
    <div class="field">
      <label for={id}>
        {field.label || "payload"}
        {field.required && <span class="needed"> needed</span>}
      </label>
      {field.control === "boolean" || field.control === "choice" ? (
        <select {...common} onChange={(event) => enter(event.currentTarget.value)}>
          <option value="">{field.required ? "Choose" : "Left out"}</option>
          {(field.control === "boolean" ? [true, false] : (field.values ?? [])).map((value) => (
            <option key={entry(value)} value={entry(value)}>
              {entry(value)}
            </option>
          ))}
        </select>
      ) : field.control === "json" || field.control === "texts" ? (
        <textarea
          {...common}
          rows={field.control === "json" ? 4 : 3}
          spellcheck={false}
          onInput={(event) => enter(event.currentTarget.value)}
        />
      ) : (
        <input
          {...common}
          {...(field.secret ? ({ type: "password" } as const) : ({ type: "text" } as const))}
          autoComplete="off"
          spellcheck={false}
          inputMode={field.control === "integer" ? "numeric" : field.control === "number" ? "decimal" : undefined}
          onInput={(event) => enter(event.currentTarget.value)}
        />
      )}
      <small id={said}>
        {problem ? (
          <span class="wrong">{problem}</span>
        ) : (
          [field.help, sentence(wanted(field)), unless].filter(Boolean).join(" ")
        )}
      </small>
    </div>
  );
}
