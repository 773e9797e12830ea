// Who looks at the pages, and what he may do.
import { computed, signal } from "@preact/signals";
import { get, Problem, send, whenUnauthorized } from "../api/client";
import type { Role, SessionView } from "../api/types";
import { go, href, place } from "./router";

const RANKS: Role[] = ["viewer", "operator", "admin"];

/** What the server says about the session; before it has said anything, nothing. */
export const session = signal<SessionView | null>(null);
/** Whether the server wants to know who asks, and does not. */
export const unknown = signal(false);

/** What whoever looks may do; where nobody is asked who he is, everything. */
export const role = computed<Role>(() => {
  const known = session.value;
  if (!known) return "viewer";
  return known.authentication === "none" ? "admin" : (known.role ?? "viewer");
});

/** Whether whoever looks may do what needs this role. */
export function may(needed: Role): boolean {
  return RANKS.indexOf(role.value) >= RANKS.indexOf(needed);
}

/** Asks who this is; leads to the sign-in page where that must be said. */
export async function recognise(): Promise<void> {
  try {
    session.value = await get<SessionView>("/api/v1/session");
    unknown.value = false;
  } catch (error) {
    if (error instanceof Problem && error.status === 401) signInFirst();
  }
}

export async function signIn(token: string): Promise<void> {
  session.value = await send<SessionView>("POST", "/api/v1/session", { token });
  unknown.value = false;
}

export async function signOut(): Promise<void> {
  await send("DELETE", "/api/v1/session");
  session.value = null;
  signInFirst();
}

function signInFirst(): void {
  unknown.value = true;
  if (place.value.path === "/sign-in") return;
  const next = location.pathname + location.search;
  go(href("/sign-in", { next: next === href("/") ? null : next }), true);
}

whenUnauthorized(signInFirst);
