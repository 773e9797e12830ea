// The binary frames of callboard.terminal.v2: a byte that says what it is, and the rest (docs/terminal.md).

export const PROTOCOL = "callboard.terminal.v2";

/** The answer to the first message. */
export interface Opened {
  session: string;
  resume_token: string;
  scope: "read" | "write";
  command: string;
  cols: number;
  rows: number;
  resumed: boolean;
  /** Where the output ends that was written before. */
  end: number;
}

export type ServerFrame =
  | { kind: "opened"; opened: Opened }
  | { kind: "output"; offset: number; bytes: Uint8Array }
  | { kind: "gap"; from: number; to: number }
  | { kind: "exit"; text: string }
  | { kind: "pong" }
  | { kind: "notice"; text: string }
  | { kind: "refused"; code: string; message: string };

const text = new TextDecoder();
const bytes = new TextEncoder();

export function decode(message: ArrayBuffer): ServerFrame | null {
  const view = new DataView(message);
  if (view.byteLength === 0) return null;
  const rest = new Uint8Array(message, 1);
  switch (view.getUint8(0)) {
    case 0x10:
      return { kind: "opened", opened: JSON.parse(text.decode(rest)) };
    case 0x11:
      return { kind: "output", offset: Number(view.getBigUint64(1)), bytes: rest.subarray(8) };
    case 0x12:
      return { kind: "gap", from: Number(view.getBigUint64(1)), to: Number(view.getBigUint64(9)) };
    case 0x13: {
      const number = view.getInt32(2);
      const how = ["exit status", "signal"][view.getUint8(1)];
      return { kind: "exit", text: how ? `The program has ended: ${how} ${number}.` : "The program has ended." };
    }
    case 0x14:
      return { kind: "pong" };
    case 0x15:
      return { kind: "notice", text: text.decode(rest) };
    case 0x16:
      return { kind: "refused", ...JSON.parse(text.decode(rest)) };
    default:
      return null;
  }
}

function frame(kind: number, rest: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(1 + rest.length);
  whole[0] = kind;
  whole.set(rest, 1);
  return whole;
}

export const open = (ticket: string, resume?: { resume_token: string; offset: number }) =>
  frame(0x00, bytes.encode(JSON.stringify({ ticket, ...resume })));
export const input = (typed: Uint8Array) => frame(0x01, typed);

export function resize(cols: number, rows: number) {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint16(0, cols);
  view.setUint16(2, rows);
  return frame(0x02, new Uint8Array(view.buffer));
}

export function ack(offset: number) {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt(offset));
  return frame(0x03, new Uint8Array(view.buffer));
}
