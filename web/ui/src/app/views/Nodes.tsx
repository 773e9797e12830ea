// The nodes that work on the store, and the services outside that jobs need.
import { useSignal } from "@preact/signals";
import { useCallback } from "preact/hooks";
import { path, send } from "../api/client";
import type { EdgeView, NodeView } from "../api/types";
import { order } from "../core/commands";
import { plural } from "../core/format";
import { type Command, useCommands } from "../core/keys";
import { href, query, setQuery } from "../core/router";
import { attempt } from "../core/toasts";
import { useTopics } from "../live/feed";
import { edges, nodes } from "../live/state";
import { Action, Ago, Badge, Empty, Facts, Head, Panel } from "../parts/basic";
import { ask } from "../parts/Dialog";
import { type Column, List } from "../parts/List";
import { NodeState } from "./Overview";

const COLUMNS: Column<NodeView>[] = [
  {
    id: "name",
    title: "Node",
    cell: (node) => (
      <>
        {node.name} {node.leads && <span class="tag">leads</span>}
      </>
    ),
    by: (node) => node.name,
  },
  { id: "state", title: "State", cell: (node) => <NodeState state={node.state} />, by: (node) => node.state, width: "8rem" },
  {
    id: "running",
    title: "Runs",
    cell: (node) => `${node.running}/${node.capacity}`,
    by: (node) => node.running,
    number: true,
    width: "6rem",
  },
  { id: "roles", title: "Roles", cell: (node) => node.roles.join(", "), hide: "medium", width: "26%" },
  { id: "version", title: "Version", cell: (node) => node.version, by: (node) => node.version, hide: "narrow", width: "6rem" },
  {
    id: "since",
    title: "Since",
    cell: (node) => <Ago at={node.since} />,
    by: (node) => node.since,
    number: true,
    hide: "narrow",
    width: "7rem",
  },
  {
    id: "seen",
    title: "Seen",
    cell: (node) => <Ago at={node.last_seen} />,
    by: (node) => node.last_seen,
    number: true,
    hide: "narrow",
    width: "7rem",
  },
];

export function NodesPage() {
  useTopics("nodes", "edges");
  const current = useSignal<NodeView | undefined>(undefined);
  const onCursor = useCallback((node: NodeView | undefined) => {
    current.value = node;
  }, []);
  const all = [...(nodes.value?.values() ?? [])];
  const chosen = all.find((node) => node.name === query("node"));
  const target = chosen ?? all.find((node) => node.name === current.value?.name);
  const commands = target ? actions(target) : [];
  useCommands("Nodes", [
    ...commands,
    {
      name: "close",
      title: "Let go of the node",
      keys: ["Escape"],
      when: () => chosen !== undefined,
      run: () => setQuery({ node: null }),
    },
  ]);
  return (
    <>
      <Head title="Nodes and edges" note={nodes.value ? plural(all.length, "node") : undefined} />
      {chosen && <Node node={chosen} commands={commands} />}
      <List
        label="Nodes"
        rows={all}
        rowKey={(node) => node.session}
        columns={COLUMNS}
        open={(node) => setQuery({ node: query("node") === node.name ? null : node.name })}
        selected={(node) => node.name === chosen?.name}
        onCursor={onCursor}
        empty={<Empty title="No node is known" />}
      />
      <Edges />
    </>
  );
}

function actions(node: NodeView): Command[] {
  const tell = (action: string) => attempt(node.name, async () => `${node.name}: ${await order(node.name, { action })}`);
  return [
    node.state === "paused"
      ? {
          name: "resume node",
          title: "Let the node claim jobs again",
          keys: ["o"],
          role: "operator",
          run: () => void tell("resume"),
        }
      : {
          name: "pause node",
          title: "Pause the node",
          keys: ["P"],
          role: "operator",
          run: () =>
            ask({
              title: `Pause ${node.name}?`,
              text: "It claims no more jobs; what it runs goes on.",
              yes: "Pause",
              danger: true,
              run: async () => void tell("pause"),
            }),
        },
    {
      name: "drain node",
      title: "Drain the node: it ends what it runs, and exits",
      keys: ["D"],
      role: "operator",
      run: () =>
        ask({
          title: `Drain ${node.name}?`,
          text: `It claims no more jobs, ends the ${plural(node.running, "job")} that it runs or hands them back, and exits.`,
          yes: "Drain and exit",
          danger: true,
          typed: node.name,
          run: async () => void tell("drain"),
        }),
    },
  ];
}

function Node({ node, commands }: { node: NodeView; commands: Command[] }) {
  const short: Record<string, string> = { P: "Pause", o: "Resume", D: "Drain" };
  return (
    <Panel
      title={node.name}
      side={
        <div class="actions">
          {commands.map((command) => (
            <Action
              key={command.name}
              text={short[command.keys?.[0] ?? ""] ?? ""}
              hotkey={command.keys?.[0]}
              run={command.run}
              tone={command.keys?.[0] === "D" ? "danger" : undefined}
            />
          ))}
        </div>
      }
    >
      <Facts
        facts={[
          ["State", <NodeState key="s" state={node.state} />],
          ["Leads", node.leads ? "yes: it does what is done once for all nodes" : "no"],
          ["Version", node.version],
          ["Process", node.process],
          ["Session", <code key="i">{node.session}</code>],
          ["Roles", node.roles.join(", ")],
          ["Runs", `${node.running} of ${node.capacity} at most`],
          ["Queues", node.queues.map((queue) => `${queue.name} (${queue.concurrency})`).join(", ")],
          [
            "Labels",
            Object.entries(node.labels)
              .map(([name, value]) => `${name}=${value}`)
              .join(", "),
          ],
          ["Since", <Ago key="a" at={node.since} />],
          ["Last seen", <Ago key="l" at={node.last_seen} />],
        ]}
      />
    </Panel>
  );
}

function Edges() {
  const all = [...(edges.value?.values() ?? [])];
  const trip = (edge: EdgeView) =>
    ask({
      title: `Trip ${edge.name}?`,
      text: "No job that needs it is started on any node until it is ready again; attempts are not spent. What runs goes on.",
      yes: "Trip",
      danger: true,
      reason: true,
      run: async (reason) => {
        await send("PUT", path`/api/v1/edges/${edge.name}`, { state: "tripped", reason: reason || undefined });
      },
    });
  const mend = (edge: EdgeView) =>
    void attempt(edge.name, async () => {
      await send("PUT", path`/api/v1/edges/${edge.name}`, { state: "ready" });
      return `${edge.name} is ready`;
    });
  return (
    <Panel title="Edges">
      {all.length === 0 ? (
        <Empty title="No edges">
          Job types name the services outside that they need; one that is tripped parks their jobs.
        </Empty>
      ) : (
        <table class="plain">
          <thead>
            <tr>
              <th scope="col">Edge</th>
              <th scope="col">State</th>
              <th scope="col" class="number">
                Parked
              </th>
              <th scope="col" class="hide-narrow">
                Needed by
              </th>
              <th scope="col" class="hide-narrow">
                Why
              </th>
              <th scope="col">
                <span class="heard">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {all.map((edge) => (
              <tr key={edge.name}>
                <td>{edge.name}</td>
                <td>
                  {edge.state === "ready" ? (
                    <Badge tone="done" letter="✓" text="ready" />
                  ) : (
                    <Badge tone="dead" letter="!" text="tripped" />
                  )}
                </td>
                <td class="number">{edge.parked >= 1000 ? "1,000+" : edge.parked}</td>
                <td class="hide-narrow">
                  {edge.needed_by?.map((type) => (
                    <a class="tag" key={type} href={href("/jobs", { q: `type:${type}` })}>
                      {type}
                    </a>
                  ))}
                </td>
                <td class="hide-narrow">
                  {edge.state === "tripped" && (
                    <>
                      {edge.reason}{" "}
                      <span class="faint">
                        {edge.set_by}, <Ago at={edge.since} />
                      </span>
                    </>
                  )}
                </td>
                <td class="number">
                  {edge.state === "ready" ? (
                    <Action text="Trip" run={() => trip(edge)} tone="danger" />
                  ) : (
                    <Action text="Make ready" run={() => mend(edge)} />
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Panel>
  );
}
