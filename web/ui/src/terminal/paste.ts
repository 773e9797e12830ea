// A warning before several lines are pasted into a program that would take each of them for a command.

import type { Terminal } from "@xterm/xterm";

/** What of it is shown. */
const SHOWN = 2000;

export function guardPaste(place: HTMLElement, terminal: Terminal) {
  const dialog = document.querySelector<HTMLDialogElement>("#paste");
  const shown = document.querySelector<HTMLElement>("#pasted");
  if (!dialog || !shown) return;
  let waiting = "";
  place.addEventListener(
    "paste",
    (event) => {
      const text = event.clipboardData?.getData("text/plain") ?? "";
      if (terminal.modes.bracketedPasteMode || !/[\r\n]./s.test(text)) return;
      event.preventDefault();
      event.stopPropagation();
      waiting = text;
      shown.textContent = text.length > SHOWN ? `${text.slice(0, SHOWN)} …` : text;
      dialog.returnValue = "";
      dialog.showModal();
    },
    { capture: true },
  );
  dialog.addEventListener("close", () => {
    if (dialog.returnValue === "paste") terminal.paste(waiting);
    waiting = "";
    terminal.focus();
  });
}
