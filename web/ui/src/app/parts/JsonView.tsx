// JSON exactly as it is, to be read and copied.
import type { ComponentChildren } from "preact";
import { ExactNumber, hasRedacted, isRedacted, type Json, printJson } from "../core/json";
import { Copy } from "./basic";

export function JsonView({ value, what }: { value: Json; what: string }) {
  return (
    <div class="json">
      <div class="json-tools">
        {hasRedacted(value) && <span class="badge cancelled">secrets are hidden</span>}
        <Copy text={printJson(value)} what={what} />
      </div>
      <pre tabIndex={0} role="group" aria-label={what}>
        <code>{show(value, 0)}</code>
      </pre>
    </div>
  );
}

function show(value: Json, indent: number): ComponentChildren {
  const inner = " ".repeat(indent + 2);
  const outer = " ".repeat(indent);
  if (value instanceof ExactNumber) return <span class="j-number">{value.digits}</span>;
  if (isRedacted(value)) return <span class="j-hidden">hidden</span>;
  if (Array.isArray(value)) {
    if (value.length === 0) return "[]";
    return [
      "[\n",
      ...value.flatMap((item, at) => [inner, show(item, indent + 2), at < value.length - 1 ? ",\n" : "\n"]),
      `${outer}]`,
    ];
  }
  if (value !== null && typeof value === "object") {
    const members = Object.entries(value);
    if (members.length === 0) return "{}";
    return [
      "{\n",
      ...members.flatMap(([name, member], at) => [
        inner,
        <span class="j-name">{JSON.stringify(name)}</span>,
        ": ",
        show(member, indent + 2),
        at < members.length - 1 ? ",\n" : "\n",
      ]),
      `${outer}}`,
    ];
  }
  const kind = typeof value === "string" ? "j-text" : typeof value === "number" ? "j-number" : "j-word";
  return <span class={kind}>{JSON.stringify(value)}</span>;
}
