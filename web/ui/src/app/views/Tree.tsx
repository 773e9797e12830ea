// The supervision tree as a drawing: what restarts is seen to restart.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { get } from "../api/client";
import type { CrashView, TreeEntry, TreeNode } from "../api/types";
import { now } from "../core/clock";
import { order } from "../core/commands";
import { fits, type Row } from "../core/filter";
import { ago, count, plural, shortType, span } from "../core/format";
import { type Command, useCommands } from "../core/keys";
import { useLoaded } from "../core/load";
import { query, setQuery } from "../core/router";
import { attempt } from "../core/toasts";
import { type Drawing, draw, NODE, type Placed } from "../core/tree";
import { useTopics } from "../live/feed";
import { overview, tree } from "../live/state";
import { Action, Badge, Empty, Facts, Head, type Tone } from "../parts/basic";
import { ask } from "../parts/Dialog";
import { FilterField, useFilter } from "../parts/Filter";

const FIELDS = ["path", "name", "kind", "type", "state", "mailbox", "restarts", "crashes", "generation"];

const STATES: Record<string, { tone: Tone; letter: string }> = {
  running: { tone: "running", letter: "R" },
  starting: { tone: "retry", letter: "S" },
  backing_off: { tone: "retry", letter: "B" },
  suspended: { tone: "paused", letter: "‖" },
  stopping: { tone: "cancelled", letter: "–" },
  stopped: { tone: "cancelled", letter: "■" },
  stuck: { tone: "dead", letter: "!" },
  failed: { tone: "dead", letter: "×" },
};

/** How long a restart is seen. */
const FLASH = 6_000;
/** Up to this room the drawing goes downwards. */
const NARROW = 620;
/** How the root, whose path is empty, is called in the address. */
const ROOT = "/";

const key = (entry: TreeEntry) => entry.path || ROOT;

export function TreePage() {
  useTopics("tree");
  const known = tree.value;
  const filter = useFilter(FIELDS);
  const chosen = query("actor");
  const entry = chosen ? known?.get(chosen === ROOT ? "" : chosen) : undefined;
  const { place, room } = useRoom(known !== null);
  const drawing = useMemo(() => known && draw(known, room < NARROW, room), [known, room]);
  const restarted = useRestarts(known);

  const all = drawing?.nodes ?? [];
  const at = all.findIndex((node) => node.entry === entry);
  const move = (to: number) => {
    const next = all[Math.max(0, Math.min(all.length - 1, to))]?.entry;
    if (!next) return;
    setQuery({ actor: key(next) });
    document.getElementById(nodeId(next))?.focus();
  };
  const commands = entry ? actions(entry) : [];
  useCommands("Tree", [
    { name: "down", title: "Next actor", keys: ["j", "ArrowDown"], run: () => move(at + 1) },
    { name: "up", title: "Actor before", keys: ["k", "ArrowUp"], run: () => move(at - 1) },
    { name: "first", title: "First actor", keys: ["g"], run: () => move(0) },
    { name: "last", title: "Last actor", keys: ["G"], run: () => move(all.length - 1) },
    {
      name: "close",
      title: "Let go of the actor",
      keys: ["Escape"],
      when: () => chosen !== "",
      run: () => setQuery({ actor: null }),
    },
    ...commands,
  ]);

  if (!known || !drawing) return <Empty title="Waiting for the tree" />;
  const troubled = [...known.values()].filter((one) => !["running", "suspended"].includes(one.state)).length;
  const restarts = [...known.values()].reduce((sum, one) => sum + one.generation, 0);
  return (
    <>
      <Head
        title="Tree"
        note={`${plural(known.size, "actor")} of ${overview.value?.node ?? "this node"}, ${plural(restarts, "restart")} so far${troubled ? `, ${troubled} not running` : ""}`}
      />
      <FilterField label="Filter the tree" hint="path, state:backing_off, mailbox>0, crashes>0" problem={filter.problem} />
      <div class={entry ? "split" : ""}>
        <div class="tree" ref={place} tabIndex={0} role="group" aria-label="The supervision tree">
          <TreeDrawing
            drawing={drawing}
            chosen={entry}
            restarted={restarted}
            lit={(one) => fits(filter.node, row(one)) !== false}
          />
        </div>
        {entry && <Actor entry={entry} commands={commands} />}
      </div>
    </>
  );
}

function row(entry: TreeEntry): Row {
  return {
    texts: () => [entry.path, entry.state, entry.actor_type],
    field: (name) => {
      switch (name) {
        case "path":
          return [entry.path];
        case "name":
          return [entry.name];
        case "kind":
          return [entry.kind];
        case "type":
          return [shortType(entry.actor_type)];
        case "state":
          return [entry.state];
        case "mailbox":
          return entry.mailbox_depth;
        case "restarts":
          return entry.restarts;
        case "crashes":
          return entry.crashes;
        case "generation":
          return entry.generation;
        default:
          return null;
      }
    },
  };
}

/** The width that there is. */
function useRoom(there: boolean) {
  const place = useRef<HTMLDivElement>(null);
  const [room, setRoom] = useState(innerWidth);
  // The place is there once the tree is.
  useEffect(() => {
    if (!place.current) return;
    const watch = new ResizeObserver(([seen]) => seen && setRoom(Math.round(seen.contentRect.width)));
    watch.observe(place.current);
    return () => watch.disconnect();
  }, [there]);
  return { place, room };
}

/** Who has restarted since the page is looked at, and when. */
function useRestarts(known: ReadonlyMap<string, TreeEntry> | null): ReadonlyMap<string, number> {
  const generations = useRef(new Map<string, number>());
  const restarted = useRef(new Map<string, number>());
  const seen = useRef(known);
  if (known && seen.current !== known) {
    for (const { path, generation } of known.values()) {
      const before = generations.current.get(path);
      if (before !== undefined && generation > before) restarted.current.set(path, Date.now());
    }
  }
  if (known) generations.current = new Map([...known.values()].map(({ path, generation }) => [path, generation]));
  seen.current = known;
  return restarted.current;
}

function nodeId(entry: TreeEntry): string {
  return `actor-${entry.path || "root"}`;
}

interface TreeDrawingProps {
  drawing: Drawing;
  chosen: TreeEntry | undefined;
  restarted: ReadonlyMap<string, number>;
  lit: (entry: TreeEntry) => boolean;
}

function TreeDrawing({ drawing, chosen, restarted, lit }: TreeDrawingProps) {
  const { nodes, lines, width, height } = drawing;
  const downwards = lines.some(({ from, to }) => to.x - from.x < NODE.width);
  const half = NODE.height / 2;
  return (
    <svg width={width} height={height + 4} viewBox={`-1 -2 ${width + 2} ${height + 4}`}>
      <title>The supervision tree</title>
      <g class="tree-lines">
        {lines.map(({ from, to }) => {
          const bend = from.x + NODE.width + (to.x - from.x - NODE.width) / 2;
          const path = downwards
            ? `M${from.x + 8} ${from.y + NODE.height}V${to.y + half}H${to.x}`
            : `M${from.x + NODE.width} ${from.y + half}C${bend} ${from.y + half} ${bend} ${to.y + half} ${to.x} ${to.y + half}`;
          return <path key={to.entry.path} d={path} />;
        })}
      </g>
      {nodes.map((node) => (
        <TreeNodeDrawing
          key={node.entry.path}
          node={node}
          width={downwards ? Math.max(120, width - node.x - 2) : NODE.width}
          chosen={node.entry === chosen}
          restartedAt={restarted.get(node.entry.path)}
          lit={lit(node.entry)}
        />
      ))}
    </svg>
  );
}

interface NodeProps {
  node: Placed;
  width: number;
  chosen: boolean;
  restartedAt: number | undefined;
  lit: boolean;
}

function TreeNodeDrawing({ node: { entry, x, y }, width, chosen, restartedAt, lit }: NodeProps) {
  const { tone, letter } = STATES[entry.state] ?? { tone: "plain", letter: "?" };
  const flash = restartedAt !== undefined && now.value - restartedAt < FLASH;
  const supervisor = entry.kind !== "actor";
  const marks: string[] = [];
  if (entry.mailbox_depth > 0) marks.push(`✉ ${count(entry.mailbox_depth)}`);
  if (entry.generation > 0) marks.push(`↻ ${count(entry.generation)}`);
  if (supervisor && entry.restarts > 0) marks.push(`${entry.restarts}/${entry.restarts_allowed}`);
  const mark = marks.join("  ");
  const room = Math.floor((width - 44 - mark.length * 6.5) / 7);
  const name = entry.name.length > room ? `${entry.name.slice(0, Math.max(1, room - 1))}…` : entry.name;
  const said = `${entry.path || "root"}, ${entry.kind.replace("_", " ")}, ${entry.state.replace("_", " ")}, ${plural(entry.generation, "restart")}`;
  const kind = ["tree-node", tone, supervisor && "supervisor", chosen && "chosen", !lit && "dim", flash && "restarted"];
  return (
    <g class={kind.filter(Boolean).join(" ")}>
      {/* The link says all of it in words; what is drawn is for the eye. */}
      <a
        id={nodeId(entry)}
        href={`?actor=${encodeURIComponent(key(entry))}`}
        aria-label={said}
        aria-current={chosen || undefined}
        data-generation={entry.generation}
        onClick={(event) => {
          event.preventDefault();
          setQuery({ actor: chosen ? null : key(entry) });
        }}
      >
        <rect class="hit" x={x} y={y} width={width} height={NODE.height} />
      </a>
      <g class="drawn" aria-hidden="true">
        {flash && (
          <rect
            key={restartedAt}
            class="ring"
            x={x - 1}
            y={y - 1}
            width={width + 2}
            height={NODE.height + 2}
            rx={supervisor ? 16 : 7}
          />
        )}
        <rect class="box" x={x} y={y} width={width} height={NODE.height} rx={supervisor ? 15 : 6} />
        <circle class="bead" cx={x + 16} cy={y + 15} r="8" />
        <text class="bead-letter" x={x + 16} y={y + 19} text-anchor="middle">
          {letter}
        </text>
        <text class="tree-name" x={x + 31} y={y + 19.5}>
          {name}
        </text>
        <text class="tree-mark" x={x + width - 10} y={y + 19.5} text-anchor="end">
          {mark}
        </text>
      </g>
    </g>
  );
}

/** What can be done with an actor. */
function actions(entry: TreeEntry): Command[] {
  const node = overview.value?.node;
  if (!node || entry.path === "") return [];
  const actor = entry.path;
  const tell = (action: string) => attempt(actor, () => order(node, { action, actor }));
  const suspended = entry.state === "suspended";
  return [
    {
      name: "restart actor",
      title: "Restart the actor",
      keys: ["T"],
      role: "operator",
      run: () =>
        ask({
          title: `Restart ${actor}?`,
          text:
            entry.kind === "actor"
              ? "The message in hand is given up; those that wait stay."
              : "All that it supervises restarts with it.",
          yes: "Restart",
          danger: true,
          run: async () => void tell("restart_actor"),
        }),
    },
    suspended
      ? {
          name: "resume actor",
          title: "Let the actor go on",
          keys: ["o"],
          role: "operator",
          run: () => void tell("resume_actor"),
        }
      : {
          name: "suspend actor",
          title: "Suspend the actor",
          keys: ["S"],
          role: "operator",
          run: () =>
            ask({
              title: `Suspend ${actor}?`,
              text: "It handles no messages until it is let go on; they wait in its mailbox.",
              yes: "Suspend",
              danger: true,
              run: async () => void tell("suspend_actor"),
            }),
        },
    {
      name: "stop actor",
      title: "Stop the actor",
      keys: ["X"],
      role: "operator",
      run: () =>
        ask({
          title: `Stop ${actor}?`,
          text: "It stays stopped until it is restarted. What it does is not done meanwhile.",
          yes: "Stop",
          danger: true,
          typed: entry.name,
          run: async () => void tell("stop_actor"),
        }),
    },
  ];
}

function Actor({ entry, commands }: { entry: TreeEntry; commands: Command[] }) {
  const { tone, letter } = STATES[entry.state] ?? { tone: "plain" as Tone, letter: "?" };
  const supervisor = entry.kind !== "actor";
  const short: Record<string, string> = { T: "Restart", S: "Suspend", o: "Resume", X: "Stop" };
  return (
    <aside class="panel actor" aria-label="The actor">
      <header class="panel-head">
        <h2>{entry.path || "root"}</h2>
        <button
          type="button"
          class="small quiet"
          aria-label="Esc: let go of the actor"
          onClick={() => setQuery({ actor: null })}
        >
          <kbd>Esc</kbd>
        </button>
      </header>
      <div class="actor-actions">
        {commands.map((command) => (
          <Action
            key={command.name}
            text={short[command.keys?.[0] ?? ""] ?? command.title}
            hotkey={command.keys?.[0]}
            run={command.run}
            needs={command.role}
            tone={command.keys?.[0] === "X" ? "danger" : undefined}
          />
        ))}
      </div>
      <Facts
        facts={[
          ["State", <Badge key="state" tone={tone} letter={letter} text={entry.state.replace("_", " ")} />],
          ["Condition", entry.condition],
          ["Kind", entry.kind.replace("_", " ")],
          [supervisor ? "Strategy" : "Type", <code key="type">{shortType(entry.actor_type)}</code>],
          ["Generation", count(entry.generation)],
          [
            "Restarts",
            supervisor ? (
              <Meter
                key="restarts"
                value={entry.restarts}
                most={entry.restarts_allowed}
                text={`${entry.restarts} of ${entry.restarts_allowed} allowed`}
              />
            ) : null,
          ],
          [
            "Mailbox",
            supervisor ? null : (
              <Meter
                key="mailbox"
                value={entry.mailbox_depth}
                most={entry.mailbox_capacity}
                text={`${count(entry.mailbox_depth)}${entry.mailbox_capacity ? ` of ${count(entry.mailbox_capacity)}` : ""}`}
              />
            ),
          ],
          [
            "In hand",
            entry.current_message ? (
              <span key="hand">
                <code>{shortType(entry.current_message)}</code>
                {entry.current_message_ms !== undefined && ` for ${span(entry.current_message_ms)}`}
              </span>
            ) : null,
          ],
          ["Handled", supervisor ? null : count(entry.handled)],
          ["Refused", entry.refused > 0 ? count(entry.refused) : null],
          ["Crashes", count(entry.crashes)],
        ]}
      />
      {entry.last_crashes && <Crashes entry={entry} />}
    </aside>
  );
}

/** The feed has the crashes without their backtraces. */
function Crashes({ entry }: { entry: TreeEntry }) {
  const last = entry.last_crashes?.[0]?.at ?? "";
  const { state } = useLoaded(`${entry.path} ${last}`, async (signal) => {
    const found = find(await get<TreeNode>("/api/v1/tree", signal), entry.path);
    return found?.last_crashes ?? [];
  });
  const whole = new Map(state.value.value?.map((crash) => [crash.at + crash.actor, crash]));
  return (
    <>
      {entry.last_crashes?.map((crash) => {
        const id = crash.at + crash.actor;
        return <Crash key={id} crash={whole.get(id) ?? crash} />;
      })}
    </>
  );
}

function find(node: TreeNode, path: string): TreeNode | undefined {
  if (node.path === path) return node;
  const leads = (child: TreeNode) => path === child.path || path.startsWith(`${child.path}/`);
  const child = node.children?.find(leads);
  return child && find(child, path);
}

function Meter({ value, most, text }: { value: number; most: number; text: string }) {
  const part = most > 0 ? value / most : 0;
  return (
    <span class="meter-line">
      {most > 0 && (
        <span class={`meter ${part > 0.75 ? "dead" : part > 0.4 ? "retry" : "running"}`} aria-hidden="true">
          <span style={{ width: `${Math.min(100, part * 100)}%` }} />
        </span>
      )}
      {text}
    </span>
  );
}

function Crash({ crash }: { crash: CrashView }) {
  return (
    <section class="crash">
      <p>
        <Badge tone="dead" letter="!" text="crash" /> <span class="faint">{ago(crash.at, now.value)}</span>
        {crash.message_type && (
          <>
            {" while it handled "}
            <code>{shortType(crash.message_type)}</code>
          </>
        )}
      </p>
      <p class="crash-reason">{crash.reason}</p>
      {crash.backtrace && (
        <details>
          <summary>Backtrace</summary>
          <pre tabIndex={0}>{crash.backtrace}</pre>
        </details>
      )}
    </section>
  );
}
