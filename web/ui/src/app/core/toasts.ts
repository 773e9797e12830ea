// What became of what somebody did: said for a while, and read out.
import { signal } from "@preact/signals";
import { Problem } from "../api/client";

export interface Toast {
  number: number;
  tone: "done" | "dead";
  text: string;
  link?: { href: string; text: string };
}

const MOST = 4;
const STAYS = { done: 6_000, dead: 15_000 };
let last = 0;

export const toasts = signal<Toast[]>([]);

export function dismiss(number: number): void {
  toasts.value = toasts.value.filter((toast) => toast.number !== number);
}

export function say(text: string, link?: Toast["link"], tone: Toast["tone"] = "done"): void {
  const number = ++last;
  toasts.value = [...toasts.value, { number, tone, text, link }].slice(-MOST);
  setTimeout(() => dismiss(number), STAYS[tone]);
}

/** Says why something was not done. */
export function sayProblem(what: string, error: unknown): void {
  say(`${what}: ${reason(error)}`, undefined, "dead");
}

/** What was wrong, in words. */
export function reason(error: unknown): string {
  if (error instanceof Problem && error.errors.length > 0) {
    return error.errors.map(({ pointer, message }) => (pointer ? `${pointer} ${message}` : message)).join("; ");
  }
  return error instanceof Error ? error.message : String(error);
}

/** Does something and says what became of it. */
export async function attempt(what: string, action: () => Promise<string | undefined>): Promise<boolean> {
  try {
    const said = await action();
    if (said) say(said);
    return true;
  } catch (error) {
    sayProblem(what, error);
    return false;
  }
}
