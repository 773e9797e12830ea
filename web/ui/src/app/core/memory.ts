// What the browser remembers of how somebody wants to see the pages. Where it may not, nothing is remembered.
import { effect, signal } from "@preact/signals";

export type Theme = "auto" | "light" | "dark";

const KEY = "callboard.theme";

function remembered(): Theme {
  try {
    const kept = localStorage.getItem(KEY);
    return kept === "light" || kept === "dark" ? kept : "auto";
  } catch {
    return "auto";
  }
}

export const theme = signal<Theme>(remembered());

/** Counts how often colours have changed, for what is drawn with them. */
export const colours = signal(0);

export function startTheme(): void {
  effect(() => {
    const { value } = theme;
    if (value === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = value;
    colours.value = colours.peek() + 1;
    try {
      localStorage.setItem(KEY, value);
    } catch {
      // It holds until the page is left.
    }
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    colours.value = colours.peek() + 1;
  });
}
