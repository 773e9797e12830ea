// The filter language, the same as the console's: words are parts of any text, `/…/` is a regular expression, `-f` makes the next
// word a fuzzy one, `!` turns a term around, `field:value` compares a field, `field>value` an amount; `and`, `or` and brackets.

/** The longest filter, in letters. */
export const LONGEST = 500;
const DEEPEST = 32;

/** What a row has for a field: texts, a number (of a span, its seconds), nothing, or nobody knows before it is loaded. */
export type Value = string[] | number | null | "unknown";

export interface Row {
  field(name: string): Value;
  texts(): string[];
}

type Comparison = "<" | "<=" | "=" | "!=" | ">=" | ">";
type Pattern = (text: string) => boolean;

export type Node =
  | { is: "all" }
  | { is: "any"; pattern: Pattern }
  | { is: "field"; name: string; pattern: Pattern; words?: string[] }
  | { is: "amount"; name: string; comparison: Comparison; than: number }
  | { is: "not"; inner: Node }
  | { is: "and" | "or"; left: Node; right: Node };

/** `null`: the row must be loaded as a whole before anybody can say. */
export type Fit = boolean | null;

/** Why a filter cannot be understood, and where, in letters from 0. */
export class FilterError extends Error {
  constructor(
    readonly at: number,
    message: string,
  ) {
    super(message);
  }
}

const HOLDS: Record<Comparison, (left: number, right: number) => boolean> = {
  "<": (left, right) => left < right,
  "<=": (left, right) => left <= right,
  "=": (left, right) => left === right,
  "!=": (left, right) => left !== right,
  ">=": (left, right) => left >= right,
  ">": (left, right) => left > right,
};

export function fits(node: Node, row: Row): Fit {
  switch (node.is) {
    case "all":
      return true;
    case "any":
      return row.texts().some(node.pattern);
    case "field": {
      const value = row.field(node.name);
      if (value === "unknown") return null;
      if (value === null) return false;
      return typeof value === "number" ? node.pattern(String(value)) : value.some(node.pattern);
    }
    case "amount": {
      const value = row.field(node.name);
      if (value === "unknown") return null;
      if (value === null) return false;
      const number = typeof value === "number" ? value : Number(value[0] || Number.NaN);
      return HOLDS[node.comparison](number, node.than);
    }
    case "not": {
      const inner = fits(node.inner, row);
      return inner === null ? null : !inner;
    }
    case "and":
    case "or": {
      const decides = node.is === "or";
      const left = fits(node.left, row);
      if (left === decides) return decides;
      const right = fits(node.right, row);
      if (right === decides) return decides;
      return left === null || right === null ? null : !decides;
    }
  }
}

/** Reads a filter; `fields` are those that the rows have. One that ends with a dot stands for all that begin so. */
export function parseFilter(text: string, fields: readonly string[]): Node {
  const letters = [...text];
  if (letters.length > LONGEST) throw new FilterError(LONGEST, `a filter has at most ${LONGEST} letters`);
  const parser = new Parser(letters, fields);
  return parser.all();
}

const part = (word: string): Pattern => {
  const wanted = word.toLowerCase();
  return (text) => text.toLowerCase().includes(wanted);
};

const same = (words: string[]): Pattern => {
  const wanted = words.map((word) => word.toLowerCase());
  return (text) => wanted.includes(text.toLowerCase());
};

const fuzzy =
  (word: string): Pattern =>
  (text) => {
    const wanted = [...word.toLowerCase()];
    let next = 0;
    for (const letter of text.toLowerCase()) if (letter === wanted[next]) next++;
    return next >= wanted.length;
  };

const isSpace = (letter: string | undefined) => letter !== undefined && /\s/.test(letter);

class Parser {
  private at = 0;

  constructor(
    private readonly letters: string[],
    private readonly fields: readonly string[],
  ) {}

  all(): Node {
    this.skipSpaces();
    if (this.peek() === undefined) return { is: "all" };
    const node = this.either(0);
    if (this.peek() !== undefined) throw this.error("this bracket closes nothing");
    return node;
  }

  private peek(): string | undefined {
    return this.letters[this.at];
  }

  private error(message: string): FilterError {
    return new FilterError(this.at, message);
  }

  private skipSpaces(): void {
    while (isSpace(this.peek())) this.at++;
  }

  private sees(word: string): boolean {
    const end = this.at + word.length;
    const after = this.letters[end];
    return this.letters.slice(this.at, end).join("") === word && (after === undefined || isSpace(after) || after === "(");
  }

  private takesWord(word: string): boolean {
    if (!this.sees(word)) return false;
    this.at += word.length;
    this.skipSpaces();
    return true;
  }

  private either(depth: number): Node {
    let left = this.both(depth);
    while (this.takesWord("or")) left = { is: "or", left, right: this.both(depth) };
    return left;
  }

  private both(depth: number): Node {
    let left = this.term(depth);
    for (;;) {
      this.skipSpaces();
      const ands = this.takesWord("and");
      const ends = this.peek() === undefined || this.peek() === ")" || this.sees("or");
      if (ends && !ands) return left;
      left = { is: "and", left, right: this.term(depth) };
    }
  }

  private term(depth: number): Node {
    if (depth > DEEPEST) throw this.error(`brackets go at most ${DEEPEST} deep`);
    this.skipSpaces();
    switch (this.peek()) {
      case undefined:
        throw this.error("a word is missing here");
      case ")":
        throw this.error("a word is missing before this bracket");
      case "!":
        this.at++;
        return { is: "not", inner: this.term(depth + 1) };
      case "(": {
        const opened = this.at++;
        const inner = this.either(depth + 1);
        this.skipSpaces();
        if (this.peek() !== ")") throw new FilterError(opened, "this bracket is not closed");
        this.at++;
        this.skipSpaces();
        return inner;
      }
      case "/":
        return { is: "any", pattern: this.expression() };
    }
    if (this.takesWord("-f")) return { is: "any", pattern: fuzzy(this.word()) };
    return this.wordOrField();
  }

  private expression(): Pattern {
    const begun = this.at++;
    let text = "";
    for (;;) {
      const letter = this.peek();
      if (letter === undefined) throw new FilterError(begun, "this expression is not closed: /…/");
      if (letter === "/") break;
      if (letter === "\\" && this.letters[this.at + 1] === "/") this.at++;
      text += this.peek();
      this.at++;
    }
    this.at++;
    this.skipSpaces();
    try {
      const expression = new RegExp(text, "iu");
      return (value) => expression.test(value);
    } catch (error) {
      const said = error instanceof Error ? error.message.replace(/^Invalid regular expression: /, "") : "";
      throw new FilterError(begun, `this expression cannot be read: ${said}`);
    }
  }

  private word(): string {
    this.skipSpaces();
    const begun = this.at;
    let text = "";
    if (this.peek() === '"') {
      this.at++;
      while (this.peek() !== '"') {
        if (this.peek() === undefined) throw new FilterError(begun, "this quotation mark is not closed");
        text += this.letters[this.at++];
      }
      this.at++;
    } else {
      while (this.peek() !== undefined && !isSpace(this.peek()) && this.peek() !== ")") text += this.letters[this.at++];
      if (text === "") throw this.error("a word is missing here");
    }
    this.skipSpaces();
    return text;
  }

  private wordOrField(): Node {
    const begun = this.at;
    let after = this.at;
    while (/^[\p{L}\p{N}_.-]$/u.test(this.letters[after] ?? "")) after++;
    const name = this.letters.slice(begun, after).join("");
    const signs = /^(<=|>=|!=|<|>|=)/.exec(this.letters.slice(after, after + 2).join(""))?.[0] as Comparison | undefined;
    if (signs && name) {
      this.known(name, begun);
      this.at = after + signs.length;
      const valueAt = this.at;
      const word = this.word();
      const than = amount(word);
      if (than !== null) return { is: "amount", name, comparison: signs, than };
      const is: Node = { is: "field", name, pattern: same([word]) };
      if (signs === "=") return is;
      if (signs === "!=") return { is: "not", inner: is };
      throw new FilterError(valueAt, `"${word}" is no amount, such as 3, 1.5, 250ms, 30s, 5m, 2h or 1d`);
    }
    // A colon within a word, as in a tag, belongs to the word unless a field stands before it.
    if (this.letters[after] === ":" && this.knows(name)) {
      this.at = after + 1;
      if (this.peek() === "/") return { is: "field", name, pattern: this.expression() };
      const quoted = this.peek() === '"';
      const word = this.word();
      const words = quoted ? [word] : word.split(",");
      return { is: "field", name, pattern: same(words), words };
    }
    const next = this.letters[after + 1];
    if (this.letters[after] === ":" && name && next !== undefined && next !== ":") this.known(name, begun);
    return { is: "any", pattern: part(this.word()) };
  }

  private knows(name: string): boolean {
    return this.fields.some(
      (field) => field === name || (field.endsWith(".") && name.length > field.length && name.startsWith(field)),
    );
  }

  private known(name: string, at: number): void {
    if (this.knows(name)) return;
    const shown = this.fields.map((field) => (field.endsWith(".") ? `${field}NAME` : field)).join(", ");
    throw new FilterError(at, `there is no field "${name}" here; there are ${shown} (or put the word in quotation marks)`);
  }
}

/** A number; of a span of time, its seconds. */
function amount(text: string): number | null {
  const found = /^([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(ms|s|m|h|d)?$/.exec(text);
  const units: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 };
  return found ? Number(found[1]) * (found[2] ? (units[found[2]] ?? 1) : 1) : null;
}

/** The terms of a filter that hold for every row that fits, by their fields: what a server can be asked for. */
export function certain(node: Node): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const gather = (node: Node): void => {
    if (node.is === "and") {
      gather(node.left);
      gather(node.right);
    } else if (node.is === "field" && node.words && !found.has(node.name)) {
      found.set(node.name, node.words);
    }
  };
  gather(node);
  return found;
}

/** The terms joined by `and`, one by one. */
export function terms(node: Node): Node[] {
  return node.is === "and" ? [...terms(node.left), ...terms(node.right)] : node.is === "all" ? [] : [node];
}
