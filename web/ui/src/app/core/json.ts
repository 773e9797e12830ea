// JSON as it was written: numbers that JavaScript cannot hold keep their digits.

/** A number that would not survive as a `number`. */
export class ExactNumber {
  constructor(readonly digits: string) {}
}

export type Json = null | boolean | number | string | ExactNumber | Json[] | { [key: string]: Json };

/** What is wrong with a text, and where, in characters from 0. */
export class JsonError extends Error {
  constructor(
    message: string,
    readonly at: number,
  ) {
    super(message);
  }
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const DEEPEST = 200;

/** Reads a text. Throws `JsonError`. */
export function parseJson(text: string): Json {
  let at = 0;
  const skip = () => {
    while (at < text.length && " \n\r\t".includes(text.charAt(at))) at++;
  };
  const fail = (message: string): never => {
    const before = text.slice(0, at).split("\n");
    throw new JsonError(`line ${before.length}, letter ${(before.at(-1)?.length ?? 0) + 1}: ${message}`, at);
  };
  const take = (pattern: RegExp): string | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0] ?? null;
    if (found !== null) at += found.length;
    return found;
  };
  const value = (depth: number): Json => {
    if (depth > DEEPEST) fail(`more than ${DEEPEST} levels`);
    skip();
    switch (text[at]) {
      case "{":
        return object(depth);
      case "[":
        return array(depth);
      case '"':
        return string();
    }
    for (const [word, meaning] of [
      ["true", true],
      ["false", false],
      ["null", null],
    ] as const) {
      if (text.startsWith(word, at)) {
        at += word.length;
        return meaning;
      }
    }
    const digits = take(NUMBER);
    if (digits === null) return fail(at < text.length ? "a value is needed here" : "a value is missing at the end");
    const number = Number(digits);
    return String(number) === digits ? number : new ExactNumber(digits);
  };
  const string = (): string => {
    const found = take(STRING);
    return found === null
      ? fail("this text is not closed, or has a letter that must be escaped")
      : (JSON.parse(found) as string);
  };
  const array = (depth: number): Json[] => {
    const items: Json[] = [];
    at++;
    skip();
    if (text[at] === "]") {
      at++;
      return items;
    }
    for (;;) {
      items.push(value(depth + 1));
      skip();
      const next = text[at];
      if (next !== "," && next !== "]") fail("a comma or ] is needed here");
      at++;
      if (next === "]") return items;
    }
  };
  const object = (depth: number): { [key: string]: Json } => {
    // Without a prototype, so that a key such as __proto__ is one like any other.
    const members: { [key: string]: Json } = Object.create(null);
    at++;
    skip();
    if (text[at] === "}") {
      at++;
      return members;
    }
    for (;;) {
      skip();
      if (text[at] !== '"') fail("a name in quotation marks is needed here");
      const name = string();
      skip();
      if (text[at] !== ":") fail("a colon is needed here");
      at++;
      members[name] = value(depth + 1);
      skip();
      const next = text[at];
      if (next !== "," && next !== "}") fail("a comma or } is needed here");
      at++;
      if (next === "}") return members;
    }
  };
  const read = value(0);
  skip();
  if (at < text.length) fail("nothing more is expected here");
  return read;
}

/** As text, indented by two. */
export function printJson(value: Json, indent = 0): string {
  const outer = " ".repeat(indent);
  const inner = " ".repeat(indent + 2);
  if (value instanceof ExactNumber) return value.digits;
  if (Array.isArray(value)) {
    if (value.length === 0) return "[]";
    return `[\n${value.map((item) => inner + printJson(item, indent + 2)).join(",\n")}\n${outer}]`;
  }
  if (value !== null && typeof value === "object") {
    const members = Object.entries(value);
    if (members.length === 0) return "{}";
    const lines = members.map(([name, member]) => `${inner}${JSON.stringify(name)}: ${printJson(member, indent + 2)}`);
    return `{\n${lines.join(",\n")}\n${outer}}`;
  }
  return JSON.stringify(value);
}

/** Whether the server has put this in the place of a secret. */
export function isRedacted(value: Json): boolean {
  return value !== null && typeof value === "object" && !Array.isArray(value) && "$redacted" in value;
}

/** Whether a secret is anywhere in it. */
export function hasRedacted(value: Json): boolean {
  if (value === null || typeof value !== "object" || value instanceof ExactNumber) return false;
  if (Array.isArray(value)) return value.some(hasRedacted);
  return isRedacted(value) || Object.values(value).some(hasRedacted);
}
