// The keys. What is pressed, what `?` shows, and what `:` finds are the same table.
import { computed, signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Role } from "../api/types";
import { may } from "./session";

export interface Command {
  /** What it is called in `:`, such as `jobs`. */
  name: string;
  /** What it does, in words. */
  title: string;
  /** The keys, each as the browser names it; case matters. */
  keys?: string[];
  /** Other names for `:`. */
  aliases?: string[];
  /** What it needs, if it changes something. */
  role?: Role;
  /** Whether it can be done now. */
  when?: () => boolean;
  run: () => void;
}

export interface Group {
  title: string;
  commands: Command[];
}

/** The groups that hold now, the ones of what is in front last. */
const groups = signal<Group[]>([]);

/** All groups, for `?`. */
export const allGroups = computed(() => groups.value);

/** Whether a command can be done now by whoever looks. */
export function possible(command: Command): boolean {
  return (!command.role || may(command.role)) && (command.when?.() ?? true);
}

/** These commands hold while the component is there. */
export function useCommands(title: string, commands: Command[]): void {
  const group = useRef<Group>({ title, commands });
  // What they do changes with the component, their place in the table does not.
  group.current.title = title;
  group.current.commands = commands;
  useEffect(() => {
    const own = group.current;
    groups.value = [...groups.peek(), own];
    return () => {
      groups.value = groups.peek().filter((one) => one !== own);
    };
  }, []);
}

/** How a key is shown. */
export function keyName(key: string): string {
  return { " ": "Space", Escape: "Esc", ArrowDown: "↓", ArrowUp: "↑" }[key] ?? key;
}

function typing(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
}

/** Whether a box with a field in it is open: then keys are for what is typed. */
function boxed(): boolean {
  return document.querySelector("dialog[open]") !== null;
}

export function listenForKeys(): void {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (boxed()) return;
    if (typing(event.target)) {
      if (event.key === "Escape") (event.target as HTMLElement).blur();
      return;
    }
    const control = event.target instanceof Element && event.target.closest("a, button, summary, [role=button]");
    if (control && (event.key === "Enter" || (event.key === " " && !control.closest("tr")))) return;
    for (const group of [...groups.value].reverse()) {
      const found = group.commands.find((command) => command.keys?.includes(event.key) && possible(command));
      if (found) {
        event.preventDefault();
        found.run();
        return;
      }
    }
  });
}
