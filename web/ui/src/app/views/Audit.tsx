// Who has changed what.
import { useSignal } from "@preact/signals";
import { useCallback, useEffect } from "preact/hooks";
import { get, withQuery } from "../api/client";
import type { AuditView } from "../api/types";
import { fits, type Row } from "../core/filter";
import { plural, time } from "../core/format";
import { printJson } from "../core/json";
import { useCommands } from "../core/keys";
import { reloads } from "../core/load";
import { query, setQuery } from "../core/router";
import { reason } from "../core/toasts";
import { Ago, Empty, Facts, Head, Panel, Trouble } from "../parts/basic";
import { FilterField, useFilter } from "../parts/Filter";
import { type Column, List } from "../parts/List";

const FIELDS = ["by", "role", "node", "action", "target", "outcome"];
const PAGE = 200;

const COLUMNS: Column<AuditView>[] = [
  { id: "action", title: "What", cell: (entry) => entry.action },
  { id: "target", title: "To what", cell: (entry) => entry.target, width: "28%" },
  { id: "by", title: "Who", cell: (entry) => `${entry.by}${entry.role ? ` (${entry.role})` : ""}`, width: "10rem" },
  { id: "outcome", title: "Outcome", cell: (entry) => entry.outcome, hide: "medium", width: "22%" },
  { id: "node", title: "Through", cell: (entry) => entry.node, hide: "medium", width: "8rem" },
  { id: "at", title: "When", cell: (entry) => <Ago at={entry.at} />, number: true, hide: "narrow", width: "7rem" },
];

function row(entry: AuditView): Row {
  return {
    texts: () => [entry.action, entry.target, entry.by, entry.outcome],
    field: (name) => {
      switch (name) {
        case "by":
        case "node":
        case "action":
        case "target":
        case "outcome":
          return [entry[name]];
        case "role":
          return entry.role ? [entry.role] : null;
        default:
          return null;
      }
    },
  };
}

export function AuditPage() {
  const filter = useFilter(FIELDS);
  const entries = useSignal<AuditView[]>([]);
  const cursor = useSignal<string | undefined>(undefined);
  const problem = useSignal<string | null>(null);
  const loading = useSignal(true);
  const asked = reloads.value;
  const load = async (fresh: boolean) => {
    loading.value = true;
    try {
      const page = await get<{ entries: AuditView[]; next_cursor?: string }>(
        withQuery("/api/v1/audit", { limit: PAGE, cursor: fresh ? undefined : cursor.peek() }),
      );
      entries.value = fresh ? page.entries : [...entries.peek(), ...page.entries];
      cursor.value = page.next_cursor;
      problem.value = null;
    } catch (error) {
      problem.value = reason(error);
    }
    loading.value = false;
  };
  // Asked is why it loads again.
  useEffect(() => {
    load(true);
  }, [asked]);
  const further = useCallback(() => {
    if (!loading.peek() && cursor.peek()) load(false);
  }, []);
  useCommands("Audit", [
    {
      name: "close",
      title: "Let go of the entry",
      keys: ["Escape"],
      when: () => query("entry") !== "",
      run: () => setQuery({ entry: null }),
    },
  ]);
  const shown = entries.value.filter((entry) => fits(filter.node, row(entry)) !== false);
  const chosen = entries.value.find((entry) => entry.id === query("entry"));
  return (
    <>
      <Head title="Audit" note={`${plural(shown.length, "entry", "entries")}${cursor.value ? " so far" : ""}, newest first`} />
      <FilterField label="Filter the trail" hint="action:queue.pause by:ann" problem={filter.problem} />
      {problem.value && <Trouble text={problem.value} retry={() => load(true)} />}
      {chosen && (
        <Panel title={`${chosen.action} ${chosen.target}`}>
          <Facts
            facts={[
              ["When", time(chosen.at)],
              ["Who", chosen.by],
              ["Role", chosen.role],
              ["Through", chosen.node],
              ["Outcome", chosen.outcome],
              ["With", chosen.detail !== undefined && <code key="d">{printJson(chosen.detail)}</code>],
            ]}
          />
        </Panel>
      )}
      <List
        label="Audit trail"
        rows={shown}
        rowKey={(entry) => entry.id}
        columns={COLUMNS}
        open={(entry) => setQuery({ entry: query("entry") === entry.id ? null : entry.id })}
        selected={(entry) => entry.id === chosen?.id}
        onEnd={further}
        empty={
          loading.value ? (
            <Empty title="Looking" />
          ) : (
            <Empty title={entries.value.length > 0 ? "No entry fits" : "Nobody has changed anything yet"}>
              {entries.value.length === 0 && "What is paused, cancelled, retried or restarted is kept here, with who did it."}
            </Empty>
          )
        }
      />
    </>
  );
}
