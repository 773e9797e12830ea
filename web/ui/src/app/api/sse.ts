// Server-sent events by fetch: unlike EventSource it sees the status of the answer, and says when the line is lost.
import { Problem, problem } from "./client";

export interface Frame {
  id: string;
  event: string;
  data: string;
}

interface Options {
  signal: AbortSignal;
  /** Go on behind this place. */
  lastEventId?: string;
  onOpen?: () => void;
  onFrame: (frame: Frame) => void;
}

/** Servers say at least every 15 s that they are there. */
const SILENCE = 40_000;
/** Letters of one frame at most. */
const LONGEST = 32 * 1024 * 1024;

/** Follows a stream until it ends or is lost. Throws `Problem` if it is refused or lost. */
export async function follow(address: string, { signal, lastEventId, onOpen, onFrame }: Options): Promise<void> {
  const headers: Record<string, string> = { Accept: "text/event-stream" };
  if (lastEventId) headers["Last-Event-ID"] = lastEventId;
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE);
  try {
    const response = await fetch(address, { headers, cache: "no-store", signal: AbortSignal.any([signal, silence.signal]) });
    if (!response.ok || !response.body) throw await problem(response);
    onOpen?.();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE);
      text += value;
      let end = text.indexOf("\n\n");
      while (end >= 0) {
        const frame = read(text.slice(0, end));
        text = text.slice(end + 2);
        if (frame) onFrame(frame);
        end = text.indexOf("\n\n");
      }
      if (text.length > LONGEST) throw new Problem("the server sends more than can be read", 0);
    }
  } catch (error) {
    if (signal.aborted || error instanceof Problem) throw error;
    throw new Problem("the line to the server is lost", 0);
  } finally {
    clearTimeout(timer);
  }
}

function read(text: string): Frame | null {
  const frame: Frame = { id: "", event: "message", data: "" };
  const data: string[] = [];
  for (const line of text.split(/\r?\n/)) {
    const colon = line.indexOf(":");
    if (colon === 0) continue;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "id") frame.id = value;
    else if (name === "event") frame.event = value;
    else if (name === "data") data.push(value);
  }
  frame.data = data.join("\n");
  return data.length > 0 ? frame : null;
}

/** Waits; less if it is called off. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      done();
    });
  });
}
