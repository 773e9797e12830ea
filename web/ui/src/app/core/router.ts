// Where the page is: its path below /ui, and what its query says. Every filter is in the query, so every view can be linked to.
import { signal } from "@preact/signals";

const BASE = "/ui";

export interface Place {
  /** Below /ui, such as `/jobs`. */
  path: string;
  query: URLSearchParams;
}

function read(): Place {
  const path = decodeURI(location.pathname.slice(BASE.length)).replace(/\/+$/, "") || "/";
  return { path, query: new URLSearchParams(location.search) };
}

/** Where the page is now. */
export const place = signal<Place>(read());

/** The address of a path of the pages, with a query. */
export function href(path: string, query: Record<string, string | null | undefined> = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value) search.set(name, value);
  const text = search.toString();
  return `${BASE}${path}${text ? `?${text}` : ""}`;
}

/** Goes to an address of the pages. */
export function go(address: string, replace = false): void {
  if (address === location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"](null, "", address);
  place.value = read();
  if (!replace) {
    scrollTo(0, 0);
    document.getElementById("main")?.focus({ preventScroll: true });
  }
}

/** Changes the query of this place; a value that is empty is taken out. */
export function setQuery(changes: Record<string, string | null>, replace = true): void {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value) query.set(name, value);
    else query.delete(name);
  }
  const text = query.toString();
  go(location.pathname + (text ? `?${text}` : ""), replace);
}

/** What the query says. */
export function query(name: string): string {
  return place.value.query.get(name) ?? "";
}

/** Links of the pages do not load the page anew. */
export function listen(): void {
  addEventListener("popstate", () => {
    place.value = read();
  });
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
      return;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
    if (link.pathname !== BASE && !link.pathname.startsWith(`${BASE}/`)) return;
    if (link.pathname === location.pathname && link.hash) return;
    event.preventDefault();
    go(link.pathname + link.search);
  });
}
