// The terminal as it is shown.

import { FitAddon } from "@xterm/addon-fit";
import { Unicode11Addon } from "@xterm/addon-unicode11";
import { Terminal } from "@xterm/xterm";
import { setStylesAsProperties, withAdoptedStyles } from "./styles";

/** How long the window must stay as it is before the terminal takes its size. */
const SETTLED = 120;
/** What a title may have. */
const TITLE = 80;

export class Screen {
  readonly terminal = new Terminal({
    allowProposedApi: true,
    cursorBlink: true,
    fontFamily: "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace",
    fontSize: 15,
    scrollback: 5000,
    minimumContrastRatio: 4.5,
    theme: { background: "#14161a", foreground: "#e6e8eb" },
  });
  private readonly fit = new FitAddon();
  private settled: ReturnType<typeof setTimeout> | undefined;
  /** Whether its size is its own, and not that of a ticket. */
  follows = true;

  constructor(place: HTMLElement, resized: (cols: number, rows: number) => void) {
    const { terminal, fit } = this;
    setStylesAsProperties();
    withAdoptedStyles(() => terminal.open(place));
    terminal.loadAddon(fit);
    terminal.loadAddon(new Unicode11Addon());
    terminal.unicode.activeVersion = "11";
    fit.fit();
    new ResizeObserver(() => {
      clearTimeout(this.settled);
      this.settled = setTimeout(() => {
        if (this.follows && place.clientHeight > 0) fit.fit();
      }, SETTLED);
    }).observe(place);
    terminal.onResize(({ cols, rows }) => {
      if (this.follows) resized(cols, rows);
    });
    terminal.onTitleChange((title) => {
      const clean = [...title].filter((letter) => /[^\p{C}\p{Zl}\p{Zp}]/u.test(letter)).slice(0, TITLE);
      document.title = clean.length > 0 ? `${clean.join("")} - Callboard` : "Callboard: terminal";
    });
    // What a program asks the terminal for would be typed into the shell as the answer; and nobody writes to the clipboard but
    // the person in front of it.
    terminal.parser.registerOscHandler(52, () => true);
    for (const colour of [4, 10, 11, 12]) {
      terminal.parser.registerOscHandler(colour, (asked) => asked.includes("?"));
    }
    terminal.attachCustomKeyEventHandler((event) => !(event.key === "F6" && event.shiftKey));
  }

  /** Takes another size than that of the window. */
  take(cols: number, rows: number) {
    this.follows = false;
    this.terminal.resize(cols, rows);
  }
}
