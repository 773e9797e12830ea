// Times, spans and numbers for people; the same words as the command line's.

/** A span of time: `850 ms`, `12 s`, `3 m 20 s`, `5 h 4 m`, `3 d 2 h`. */
export function span(ms: number): string {
  if (!Number.isFinite(ms)) return "–";
  const sign = ms < 0 ? "-" : "";
  const rest = Math.abs(ms);
  if (rest < 1) return `${sign}0 ms`;
  if (rest < 1000) return `${sign}${Math.round(rest)} ms`;
  if (rest < 10_000) return `${sign}${(rest / 1000).toFixed(1)} s`;
  const seconds = Math.floor(rest / 1000);
  if (seconds < 60) return `${sign}${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${sign}${minutes} m ${seconds % 60} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${sign}${hours} h ${minutes % 60} m`;
  return `${sign}${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** How far a time is from now: `12 s ago`, `in 3 m 20 s`. */
export function ago(at: string | number, now: number): string {
  const away = now - (typeof at === "number" ? at : Date.parse(at));
  if (Math.abs(away) < 1000) return "now";
  return away > 0 ? `${coarse(away)} ago` : `in ${coarse(-away)}`;
}

/** A span in its largest unit alone, so that a column of them is calm. */
export function coarse(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} m`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} d`;
}

const whole = new Intl.NumberFormat("en-GB");

/** A whole number with its thousands apart. */
export function count(number: number): string {
  return whole.format(number);
}

/** A number in few letters: `950`, `12.3k`, `4.5M`. */
export function short(number: number): string {
  if (number < 10_000) return whole.format(number);
  for (const [size, unit] of [
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ] as const) {
    if (number >= size) return `${(number / size).toFixed(number < 100 * size ? 1 : 0)}${unit}`;
  }
  return whole.format(number);
}

/** A count that may be too low says so. */
export function counted(number: number, atLeast: boolean): string {
  return atLeast ? `${count(number)}+` : count(number);
}

/** Jobs a second. */
export function rate(perSecond: number): string {
  if (perSecond === 0) return "0";
  return perSecond < 10 ? perSecond.toFixed(1) : count(Math.round(perSecond));
}

const clock = new Intl.DateTimeFormat("en-GB", {
  year: "numeric",
  month: "short",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});
const hours = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** A time of the clock here. */
export function time(at: string | number): string {
  return clock.format(new Date(at));
}

/** The same without the day, with milliseconds. */
export function timeOfDay(at: string | number): string {
  const date = new Date(at);
  return `${hours.format(date)}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

/** `1 job`, `3 jobs`. */
export function plural(number: number, one: string, many = `${one}s`): string {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** The last part of a Rust type's path, such as `StoreEdge`. */
export function shortType(type: string): string {
  return type.replace(/(?:\w+::)+/g, "");
}

/** An id in few letters. Its beginning is a time and so much the same for all; its end is not. */
export function shortId(id: string): string {
  return id.length > 12 ? `…${id.slice(-8)}` : id;
}
