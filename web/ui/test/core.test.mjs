// What the pages reckon with, without a browser.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const [{ output }] = await build({
  configFile: false,
  logLevel: "error",
  build: {
    write: false,
    minify: false,
    lib: { entry: fileURLToPath(new URL("core.ts", import.meta.url)), formats: ["es"], fileName: "core" },
  },
});
const folder = await mkdtemp(join(tmpdir(), "callboard-core-"));
await writeFile(join(folder, "core.mjs"), output[0].code);
const core = await import(join(folder, "core.mjs"));
await rm(folder, { recursive: true });
const { parseFilter, fits, certain, parseJson, printJson, payloadOf, layers, span, coarse, short, counted } = core;

const FIELDS = ["queue", "state", "attempt", "age", "tag", "args."];
const row = {
  texts: () => ["mail", "retryable", "vip", "cron:nightly"],
  field: (name) =>
    ({ queue: ["mail"], state: ["retryable"], attempt: 4, age: 90, tag: ["vip", "cron:nightly"], "args.user.id": "unknown" })[
      name
    ] ?? null,
};
const fit = (text) => fits(parseFilter(text, FIELDS), row);

test("terms mean what they mean in the console", () => {
  for (const yes of [
    "",
    "  ",
    "MAI",
    "!other",
    "/^ma.l$/",
    "-f mil",
    "queue:mail",
    "queue:other,mail",
    "tag:vip",
    "tag:/^cron:/",
    '"cron:nightly"',
    "attempt>3",
    "attempt>3 and age<1h",
    "attempt>=4 attempt<=4 attempt=4",
    "age>1m age<2m age>1500ms",
    "other or mail",
    "(other or vip) !queue:other",
    '"mail"',
    "state!=completed",
    "state=retryable",
    "!(other and mail)",
  ]) {
    assert.equal(fit(yes), true, yes);
  }
  for (const no of ["other", "!mail", "/^ail/", "-f lim", "queue:mai", "attempt<4", "other and mail", "age>1d"]) {
    assert.equal(fit(no), false, no);
  }
  assert.equal(fit("args.user.id:7"), null);
  assert.equal(fit("args.user.id:7 queue:other"), false);
  assert.equal(fit("args.user.id:7 or queue:mail"), true);
  assert.equal(fit("!args.user.id:7"), null);
});

test("what is wrong with a filter is named with its place", () => {
  for (const [text, at, says] of [
    ["(a", 0, "not closed"],
    ["a)", 1, "closes nothing"],
    ["a and", 5, "missing"],
    ["foo:bar", 0, "there are queue, state, attempt, age, tag, args.NAME"],
    ["x attempt>many", 10, "no amount"],
    ["/(/", 0, "cannot be read"],
    ["/abc", 0, "not closed"],
    ['"abc', 0, "not closed"],
    ["x".repeat(501), 500, "500"],
    ["!".repeat(100), 33, "deep"],
  ]) {
    assert.throws(
      () => parseFilter(text, FIELDS),
      (error) => error.at === at && error.message.includes(says),
      text,
    );
  }
});

test("the server is asked for what holds for every row", () => {
  const asked = (text) => Object.fromEntries(certain(parseFilter(text, FIELDS)));
  assert.deepEqual(asked("queue:mail state:retryable,available slow"), { queue: ["mail"], state: ["retryable", "available"] });
  for (const text of ["!queue:mail", "queue:mail or x", "queue:/mail/"]) assert.deepEqual(asked(text), {}, text);
});

test("JSON stays as it was written", () => {
  const text = '{"a":12345678901234567890,"b":0.10,"c":[1,-0.5e3,"x\\u00e4\\n"],"__proto__":{"d":null},"e":true}';
  const value = parseJson(text);
  assert.equal(
    printJson(value).replace(/\s/g, ""),
    '{"a":12345678901234567890,"b":0.10,"c":[1,-0.5e3,"xä\\n"],"__proto__":{"d":null},"e":true}',
  );
  for (const bad of ["", "{", "[1,]", '{"a" 1}', "01", "1 2", '"\n"', "nul", "{1:2}", "[".repeat(300)]) {
    assert.throws(() => parseJson(bad), /line \d+, letter \d+/, bad);
  }
});

test("entries make the payload that the command line would make", () => {
  const form = {
    fields: [
      { pointer: "/to", label: "to", required: true, control: "text" },
      { pointer: "/number", label: "number", required: false, control: "integer" },
      { pointer: "/a/b~1c", label: "b", required: false, required_within: "/a", control: "json" },
      { pointer: "/lines", label: "lines", required: false, control: "texts" },
      { pointer: "/kind", label: "kind", required: false, control: "choice", values: ["x", 1, null] },
    ],
    objects: ["/options"],
  };
  const payload = (entries) => printJson(payloadOf(form, new Map(Object.entries(entries)))).replace(/\s/g, "");
  assert.equal(
    payload({ "/to": "me", "/number": "12345678901234567890", "/a/b~1c": "[1]", "/lines": "x\ny", "/kind": "1" }),
    '{"to":"me","number":12345678901234567890,"a":{"b/c":[1]},"lines":["x","y"],"kind":1,"options":{}}',
  );
  assert.throws(
    () => payload({ "/number": "1.5", "/kind": "z" }),
    (problems) => problems.map(({ pointer }) => pointer).join() === "/number,/kind,/to",
  );
});

test("a step is drawn right of all that it waits for", () => {
  const edges = [
    [0, 3],
    [1, 3],
    [3, 4],
    [0, 4],
  ];
  const { places, columns, rows } = layers(5, edges, [0, 1, 2, 3, 4]);
  for (const [from, to] of edges) assert.ok(places.get(from).column < places.get(to).column, `${from} ${to}`);
  assert.deepEqual([columns, rows], [3, 3]);
  const taken = new Set([...places.values()].map(({ column, row }) => `${column}:${row}`));
  assert.equal(taken.size, 5);
});

test("spans and numbers are short and true", () => {
  assert.deepEqual([0, 850, 1_500, 12_000, 200_000, 18_240_000, 266_400_000].map(span), [
    "0 ms",
    "850 ms",
    "1.5 s",
    "12 s",
    "3 m 20 s",
    "5 h 4 m",
    "3 d 2 h",
  ]);
  assert.deepEqual([400, 61_000, 7_200_000].map(coarse), ["0 s", "1 m", "2 h"]);
  assert.deepEqual([999, 9_999, 12_345, 4_500_000].map(short), ["999", "9,999", "12.3k", "4.5M"]);
  assert.deepEqual([counted(10_000, true), counted(12, false)], ["10,000+", "12"]);
});
