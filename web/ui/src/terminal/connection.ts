// The way to a session: a ticket, a socket, and the same again when it is lost.

import * as frames from "./frames";

/** Where what it takes to come back is kept: as long as the tab, and for it alone. */
const KEPT = "callboard.terminal";
/** Bytes that are acknowledged at once; fewer wait a moment. */
const ACK_AT_ONCE = 16 * 1024;
const ACK_SOON = 50;
/** How long the socket may take. */
const PATIENCE = 10_000;
/** Tries to come back to a session that was there, a second apart, before the fallback is shown. */
const TRIES = 3;

interface Kept {
  session: string;
  resume_token: string;
}

export interface Listener {
  size(): { cols: number; rows: number };
  opened(opened: frames.Opened, fresh: boolean): void;
  output(bytes: Uint8Array, done: () => void): void;
  gap(bytes: number): void;
  notice(text: string): void;
  /** The session is over. */
  over(text: string): void;
  /** There is no socket, for this reason. */
  failed(why: string): void;
}

class Failure extends Error {
  constructor(
    message: string,
    readonly status = 0,
  ) {
    super(message);
  }
}

export class Connection {
  private socket: WebSocket | undefined;
  private session: Kept | null = Connection.kept();
  private scope: "read" | "write" = "write";
  /** Behind the last byte that the terminal has shown. */
  private shown = 0;
  /** Behind the last byte that has come. */
  private received = 0;
  private acknowledged = 0;
  private soon: ReturnType<typeof setTimeout> | undefined;
  /** Up to where output is old: what the terminal answers to that was answered long ago. */
  private old = 0;
  /** Whether the terminal shows the session's output up to now. */
  private warm = false;
  private lost = 0;

  constructor(private readonly listener: Listener) {}

  private static kept(): Kept | null {
    try {
      return JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
    } catch {
      return null;
    }
  }

  private keep(session: Kept | null) {
    this.session = session;
    if (session) sessionStorage.setItem(KEPT, JSON.stringify(session));
    else sessionStorage.removeItem(KEPT);
  }

  /** Opens a session, or goes on with the one that there was. */
  async open() {
    const session = this.session;
    try {
      const ticket = await this.ticket(session?.session);
      await this.connect(ticket, session);
      this.lost = 0;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.listener.failed(why);
    }
  }

  /** Forgets the session, and opens a new one. */
  renew() {
    this.keep(null);
    this.warm = false;
    return this.open();
  }

  private async ticket(session: string | undefined): Promise<string> {
    const ask = async () => {
      const answer = await fetch("/api/v1/terminal/tickets", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ scope: this.scope, session, ...this.listener.size() }),
      });
      const said = await answer.json().catch(() => ({}));
      if (!answer.ok) throw new Failure(said.detail ?? said.error ?? `the server answers ${answer.status}`, answer.status);
      return said.ticket as string;
    };
    try {
      return await ask();
    } catch (error) {
      if (error instanceof Failure && error.status === 401) {
        throw new Failure("You are not signed in: sign in at /ui/sign-in of the server's own address first.", 401);
      }
      if (!(error instanceof Failure) || error.status !== 403 || this.scope === "read") throw error;
      // Whoever may not write may still read.
      this.scope = "read";
      return ask();
    }
  }

  private connect(ticket: string, session: Kept | null): Promise<void> {
    const url = new URL("/ws", location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const mode = new URLSearchParams(location.search).get("test_mode");
    if (mode) url.searchParams.set("test_mode", mode);
    const socket = new WebSocket(url, frames.PROTOCOL);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    const offset = this.warm ? this.received : 0;
    return new Promise((resolve, reject) => {
      let open = false;
      const patience = setTimeout(() => socket.close(), PATIENCE);
      socket.onopen = () => {
        socket.send(frames.open(ticket, session ? { resume_token: session.resume_token, offset } : undefined));
      };
      socket.onmessage = ({ data }) => {
        const frame = frames.decode(data);
        if (frame?.kind === "opened") {
          open = true;
          clearTimeout(patience);
          this.begin(frame.opened, offset);
          resolve();
        } else if (frame?.kind === "refused") {
          const gone = ["SESSION_NOT_FOUND", "INVALID_TOKEN"].includes(frame.code);
          if (gone) {
            this.keep(null);
            this.warm = false;
          }
          // What was there is not there any more: a new one is.
          if (gone && session) this.open().then(resolve);
          else reject(new Failure(`${frame.message} (${frame.code})`));
        } else if (frame) {
          this.hear(frame);
        }
      };
      socket.onclose = ({ code, reason }) => {
        clearTimeout(patience);
        if (this.socket !== socket) return;
        this.socket = undefined;
        if (!open) reject(new Failure("The server cannot be reached by a WebSocket."));
        else this.closed(code, reason);
      };
    });
  }

  private begin(opened: frames.Opened, offset: number) {
    const fresh = !this.warm || !opened.resumed;
    this.keep({ session: opened.session, resume_token: opened.resume_token });
    this.received = this.acknowledged = opened.resumed ? offset : 0;
    // What was received before is being shown still.
    if (fresh) this.shown = this.received;
    this.old = fresh ? opened.end : 0;
    this.warm = true;
    this.listener.opened(opened, fresh);
  }

  private hear(frame: frames.ServerFrame) {
    if (frame.kind === "output") {
      const end = frame.offset + frame.bytes.length;
      this.received = Math.max(this.received, end);
      this.listener.output(frame.bytes, () => {
        this.shown = Math.max(this.shown, end);
        this.acknowledge();
      });
    } else if (frame.kind === "gap") {
      this.received = this.shown = frame.to;
      this.listener.gap(frame.to - frame.from);
    } else if (frame.kind === "notice") {
      this.listener.notice(frame.text);
    } else if (frame.kind === "exit") {
      this.keep(null);
      this.listener.over(frame.text);
    }
  }

  private acknowledge() {
    if (this.shown <= this.acknowledged) return;
    const send = () => {
      clearTimeout(this.soon);
      this.soon = undefined;
      this.acknowledged = this.shown;
      this.send(frames.ack(this.shown));
    };
    if (this.shown - this.acknowledged >= ACK_AT_ONCE) send();
    else this.soon ??= setTimeout(send, ACK_SOON);
  }

  private closed(code: number, reason: string) {
    if (code >= 4000 && code < 4400) {
      // The frame before has said it.
      this.keep(null);
    } else if (code >= 4400 && code !== 4408 && code !== 4409) {
      this.keep(null);
      this.listener.over(reason || "The session is over.");
    } else if (code === 4409) {
      this.listener.over("Another tab has taken the session over.");
    } else if (this.lost < TRIES) {
      this.lost += 1;
      this.listener.notice("The connection is lost; trying to come back …");
      setTimeout(() => this.open(), 1000 * (this.lost - 1));
    } else {
      this.listener.failed("The connection is lost.");
    }
  }

  private send(frame: Uint8Array<ArrayBuffer>) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(frame);
  }

  /** What was typed, or what the terminal answers to what it was asked. */
  input(typed: Uint8Array) {
    if (this.shown >= this.old) this.send(frames.input(typed));
  }

  resize(cols: number, rows: number) {
    this.send(frames.resize(cols, rows));
  }
}
