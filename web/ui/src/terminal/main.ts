// /terminal: a session of the web terminal.

import { Connection } from "./connection";
import { hideFallback, showFallback } from "./fallback";
import { guardPaste } from "./paste";
import { Screen } from "./screen";

const find = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const [place, again, reader] = [find("screen"), find<HTMLButtonElement>("again"), find<HTMLInputElement>("reader")];
/** How long a notice stays. */
const NOTICE = 8000;

const say = (text: string) => {
  find("state").textContent = text;
};
let hiding: ReturnType<typeof setTimeout> | undefined;
const notice = (text: string) => {
  const line = find("notice");
  line.textContent = text;
  line.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => {
    line.hidden = true;
  }, NOTICE);
};

const screen = new Screen(place, (cols, rows) => connection.resize(cols, rows));
const { terminal } = screen;
const connection = new Connection({
  size: () => ({ cols: terminal.cols, rows: terminal.rows }),
  opened({ command, scope, cols, rows, resumed }, fresh) {
    hideFallback();
    again.hidden = true;
    if (fresh) terminal.reset();
    // Whoever reads has the size of his ticket.
    if (scope === "read") screen.take(cols, rows);
    say(`${command}, ${scope === "read" ? "read-only" : "connected"}${resumed ? " again" : ""}`);
    terminal.focus();
  },
  output: (bytes, done) => terminal.write(bytes, done),
  gap(bytes) {
    // It says so in the place where something is missing, with the colours of before left alone.
    terminal.write(`\x1b7\x1b[0;7m [${bytes} bytes of output are not kept any more] \x1b8\r\n`);
    notice(`${bytes} bytes of output are not kept any more.`);
  },
  notice,
  over(text) {
    say(text);
    again.hidden = false;
    again.focus();
  },
  failed(why) {
    say("There is no terminal now.");
    showFallback(why, () => connection.open());
  },
});

const encoder = new TextEncoder();
terminal.onData((typed) => connection.input(encoder.encode(typed)));
terminal.onBinary((typed) => connection.input(Uint8Array.from(typed, (letter) => letter.charCodeAt(0))));
guardPaste(place, terminal);

again.addEventListener("click", () => {
  say("Connecting …");
  void connection.renew();
});
reader.addEventListener("change", () => {
  terminal.options.screenReaderMode = reader.checked;
  terminal.focus();
});
place.addEventListener("keydown", (event) => {
  if (event.key === "F6" && event.shiftKey) {
    event.preventDefault();
    reader.focus();
  }
});

void connection.open();
