// What nodes are told: ordered, and followed until the node has said what came of it.
import { get, Problem, path, send } from "../api/client";
import { pause } from "../api/sse";
import type { CommandView } from "../api/types";

const PATIENCE = 30_000;
const EVERY = 300;

/** Tells a node to do something and waits for its word. Throws what the node says went wrong. */
export async function order(node: string, action: Record<string, unknown>): Promise<string> {
  let command = await send<CommandView>("POST", path`/api/v1/nodes/${node}/commands`, action);
  const until = Date.now() + PATIENCE;
  while (command.state === "waiting" && Date.now() < until) {
    await pause(EVERY, AbortSignal.timeout(PATIENCE));
    command = await get<CommandView>(path`/api/v1/commands/${command.id}`);
  }
  switch (command.state) {
    case "done":
      return command.outcome ?? "done";
    case "waiting":
      return `${node} has not said anything yet; the audit trail will tell`;
    default:
      throw new Problem(
        command.outcome ?? `the command ${command.state === "expired" ? "was not carried out in time" : "failed"}`,
        0,
      );
  }
}
