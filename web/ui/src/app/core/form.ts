// From what was entered into a form to a payload; the same rules as the command line's.
import type { Form, FormField } from "../api/types";
import { ExactNumber, type Json, JsonError, parseJson } from "./json";

export interface FieldProblem {
  pointer: string;
  message: string;
}

/** What a field takes, in words. */
export function wanted(field: FormField): string {
  const bounded = (what: string) => {
    const { minimum, maximum } = field;
    if (minimum !== undefined && maximum !== undefined) return `${what} from ${minimum} to ${maximum}`;
    if (minimum !== undefined) return `${what} of at least ${minimum}`;
    return maximum === undefined ? what : `${what} of at most ${maximum}`;
  };
  switch (field.control) {
    case "text":
      return "a text";
    case "texts":
      return "texts, one a line";
    case "integer":
      return bounded("a whole number");
    case "number":
      return bounded("a number");
    case "boolean":
      return "true or false";
    case "choice":
      return `one of ${(field.values ?? []).map(entry).join(", ")}`;
    case "json":
      return "JSON";
  }
}

/** A value as a person enters it. */
export function entry(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The payload that the entries make; those left empty are not in it. Throws the problems. */
export function payloadOf(form: Form, entries: ReadonlyMap<string, string>): Json {
  const problems: FieldProblem[] = [];
  let payload: Json = Object.create(null);
  for (const [pointer, text] of entries) {
    const field = form.fields.find((one) => one.pointer === pointer);
    if (!field) continue;
    try {
      const value = read(field, text);
      if (pointer === "") payload = value;
      else put(payload, pointer, value);
    } catch (error) {
      problems.push({ pointer, message: error instanceof Error ? error.message : String(error) });
    }
  }
  for (const object of form.objects ?? []) {
    const within = at(payload, object.slice(0, object.lastIndexOf("/")));
    if (isObject(within) && at(payload, object) === undefined) put(payload, object, Object.create(null));
  }
  const begun = (part: string) => [...entries.keys()].some((pointer) => pointer.startsWith(`${part}/`));
  for (const field of form.fields) {
    const needed = field.required || (field.required_within !== undefined && begun(field.required_within));
    if (needed && !entries.has(field.pointer))
      problems.push({ pointer: field.pointer, message: `is needed: ${wanted(field)}` });
  }
  if (problems.length > 0) throw problems;
  return payload;
}

function read(field: FormField, text: string): Json {
  const wrong = () => new Error(`${wanted(field)} is needed`);
  const trimmed = text.trim();
  switch (field.control) {
    case "text":
      return text;
    case "texts":
      return text === "" ? [] : text.split(/\r?\n/);
    case "integer":
      if (!/^-?\d+$/.test(trimmed)) throw wrong();
      return exact(BigInt(trimmed).toString());
    case "number":
      if (!Number.isFinite(Number(trimmed)) || trimmed === "") throw wrong();
      return Number(trimmed);
    case "boolean":
      if (trimmed !== "true" && trimmed !== "false") throw wrong();
      return trimmed === "true";
    case "choice": {
      const found = (field.values ?? []).find((value) => entry(value) === trimmed);
      if (found === undefined) throw wrong();
      return found as Json;
    }
    case "json": {
      try {
        const value = parseJson(text);
        if (field.pointer === "" && !isObject(value)) throw new Error("a JSON object is needed");
        return value;
      } catch (error) {
        throw error instanceof JsonError ? new Error(`JSON is needed: ${error.message}`) : error;
      }
    }
  }
}

function exact(digits: string): Json {
  return String(Number(digits)) === digits ? Number(digits) : new ExactNumber(digits);
}

function isObject(value: Json | undefined): value is { [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof ExactNumber);
}

const names = (pointer: string) =>
  pointer
    .split("/")
    .slice(1)
    .map((name) => name.replaceAll("~1", "/").replaceAll("~0", "~"));

function at(value: Json, pointer: string): Json | undefined {
  let found: Json | undefined = value;
  for (const name of names(pointer)) found = isObject(found) ? found[name] : undefined;
  return found;
}

function put(payload: Json, pointer: string, value: Json): void {
  const path = names(pointer);
  const last = path.pop();
  let here = payload;
  for (const name of path) {
    if (!isObject(here)) return;
    if (!isObject(here[name])) here[name] = Object.create(null);
    here = here[name] as Json;
  }
  if (isObject(here) && last !== undefined) here[last] = value;
}
