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
      const raw = event.clipboardData?.getData("text/plain") ?? "";
      // With an escape, a text could end the brackets that it is put into.
      const text = raw.replaceAll("\x1b", "");
      if (terminal.modes.bracketedPasteMode || !/[\r\n]/.test(text)) {
        if (text === raw) return;
        event.preventDefault();
        event.stopPropagation();
        terminal.paste(text);
        return;
      }
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
