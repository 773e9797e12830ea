// Operations on many jobs that the server carries out: counted first, then followed.
import { signal } from "@preact/signals";
import { get, path, send } from "../api/client";
import type { BulkFilter, BulkPreview, BulkView } from "../api/types";
import { now } from "../core/clock";
import { ago, counted, plural } from "../core/format";
import { useLoaded } from "../core/load";
import { attempt, sayProblem } from "../core/toasts";
import { Action, Badge } from "./basic";
import { ask } from "./Dialog";

/** How long one that has ended is shown. */
const SHOWN = 60_000;
const begun = signal(0);

/** Counts the jobs, asks, and begins. */
export async function startBulk(action: "retry" | "cancel", filter: BulkFilter): Promise<void> {
  let preview: BulkPreview;
  try {
    preview = await send<BulkPreview>("POST", "/api/v1/bulk", { action, filter, dry_run: true });
  } catch (error) {
    sayProblem("The jobs cannot be counted", error);
    return;
  }
  const number = counted(preview.matched, preview.at_least);
  const what = preview.matched === 1 ? "1 job" : `${number} jobs`;
  ask({
    title: action === "retry" ? `Run ${what} again?` : `Cancel ${what}?`,
    text: `${filterText(filter)}. The server does it one by one, also over restarts; jobs that come later are left alone.`,
    yes: action === "retry" ? `Retry ${number}` : `Cancel ${number}`,
    danger: true,
    reason: true,
    run: async (reason) => {
      await send<BulkView>("POST", "/api/v1/bulk", { action, filter, reason: reason || undefined });
      begun.value++;
    },
  });
}

function filterText(filter: BulkFilter): string {
  const parts = [
    filter.state && `in state ${filter.state.join(" or ")}`,
    filter.type && `of type ${filter.type}`,
    filter.queue && `in queue ${filter.queue}`,
    filter.tag && `with tag ${filter.tag}`,
    filter.cause && "that died of this cause",
  ].filter(Boolean);
  return `Jobs ${parts.join(", ")}`;
}

/** Those that go on, and those that have just ended. */
export function BulkOperations() {
  const { state, reload } = useLoaded(`bulk${begun.value}`, (abort) => get<BulkView[]>("/api/v1/bulk?limit=5", abort), 2_000);
  const shown = state.value.value?.filter((one) => !one.ended_at || now.value - Date.parse(one.ended_at) < SHOWN) ?? [];
  return (
    <>
      {shown.map((one) => {
        const done = Object.entries(one.outcomes).map(([outcome, jobs]) => `${jobs} ${outcome.replaceAll("_", " ")}`);
        const part = one.matched > 0 ? Math.min(1, one.dealt_with / one.matched) : 1;
        return (
          <div class="bulk" key={one.id} role="status">
            <Badge
              tone={one.state === "running" ? "running" : one.state === "done" ? "done" : "cancelled"}
              letter={one.state === "running" ? "E" : one.state === "done" ? "✓" : "■"}
              text={`${one.action} ${one.state}`}
            />
            <span class="meter running" aria-hidden="true">
              <span style={{ width: `${part * 100}%` }} />
            </span>
            <span>
              {counted(one.dealt_with, false)} of {one.at_least ? counted(one.matched, true) : plural(one.matched, "job")}
              {done.length > 0 && `: ${done.join(", ")}`}
              {one.waits_for && `; waits: ${one.waits_for}`}{" "}
              <span class="faint">
                by {one.by}, {ago(one.started_at, now.value)}
              </span>
            </span>
            {one.state === "running" && (
              <Action
                text="Stop"
                run={() =>
                  attempt("Stopping", async () => {
                    await send("POST", path`/api/v1/bulk/${one.id}/stop`);
                    reload();
                    return "Stopped; what is done stays done";
                  })
                }
              />
            )}
          </div>
        );
      })}
    </>
  );
}
