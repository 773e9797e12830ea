// Requests to the HTTP API of the server that the page comes from, and to nobody else.
import { type Json, parseJson } from "../core/json";

/** A request that was not carried out, as the server says it. */
export class Problem extends Error {
  constructor(
    message: string,
    /** The HTTP status; 0: there was no answer. */
    readonly status: number,
    /** What is wrong with single fields, by JSON pointer or name. */
    readonly errors: { pointer: string; message: string }[] = [],
    /** The job that is in the way. */
    readonly job?: string,
  ) {
    super(message);
  }
}

/** Is called when the server wants to know who asks. */
let onUnauthorized = () => {};

export function whenUnauthorized(action: () => void): void {
  onUnauthorized = action;
}

const LIMIT = 30_000;

export async function answer(path: string, init: RequestInit = {}, limit = LIMIT): Promise<Response> {
  let response: Response;
  const signals = [AbortSignal.timeout(limit)];
  if (init.signal) signals.push(init.signal);
  try {
    response = await fetch(path, { ...init, signal: AbortSignal.any(signals) });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    const late = error instanceof DOMException && error.name === "TimeoutError";
    throw new Problem(late ? "the server did not answer in time" : "the server cannot be reached", 0);
  }
  if (!response.ok) throw await problem(response);
  return response;
}

/** What an answer that is none says. */
export async function problem(response: Response): Promise<Problem> {
  if (response.status === 401 && !response.url.endsWith("/api/v1/session")) onUnauthorized();
  const said = await response.json().catch(() => ({}));
  const detail = said.detail ?? said.error ?? `the server answered ${response.status}`;
  return new Problem(detail, response.status, said.errors ?? [], said.job);
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await answer(path, { signal: signal ?? null })).json() as Promise<T>;
}

/** The same with every number as it was written. */
export async function getExact(path: string, signal?: AbortSignal): Promise<Json> {
  return parseJson(await (await answer(path, { signal: signal ?? null })).text());
}

/** Changes something. A text is sent as it is. */
export async function send<T>(method: "POST" | "PUT" | "PATCH" | "DELETE", path: string, body?: unknown): Promise<T> {
  const text = typeof body === "string" ? body : JSON.stringify(body ?? {});
  const response = await answer(path, { method, headers: { "Content-Type": "application/json" }, body: text });
  return (response.status === 204 ? undefined : await response.json()) as T;
}

/** A path with its parts as they must be written. */
export function path(parts: TemplateStringsArray, ...values: (string | number)[]): string {
  return parts.reduce((all, part, index) => all + encodeURIComponent(String(values[index - 1])) + part);
}

/** A query of what is given. */
export function withQuery(base: string, values: Record<string, string | number | null | undefined>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== null && value !== undefined && value !== "") search.set(name, String(value));
  }
  const text = search.toString();
  return text ? `${base}?${text}` : base;
}
