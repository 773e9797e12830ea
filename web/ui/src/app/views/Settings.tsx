// What the node runs with, and where that is set.
import { get } from "../api/client";
import type { SettingsView, SettingView } from "../api/types";
import { fits, type Row } from "../core/filter";
import { plural } from "../core/format";
import { useLoaded } from "../core/load";
import { Badge, Empty, Head, Panel, Trouble } from "../parts/basic";
import { FilterField, useFilter } from "../parts/Filter";
import { type Column, List } from "../parts/List";

const FIELDS = ["key", "value", "source", "live"];

const COLUMNS: Column<SettingView>[] = [
  { id: "key", title: "Setting", cell: (setting) => <code>{setting.key}</code>, by: (setting) => setting.key },
  {
    id: "value",
    title: "Value",
    cell: (setting) => <code>{setting.value}</code>,
    by: (setting) => setting.value,
    width: "36%",
  },
  {
    id: "source",
    title: "Set by",
    cell: (setting) => setting.source,
    by: (setting) => setting.source,
    hide: "narrow",
    width: "18%",
  },
  {
    id: "live",
    title: "Takes hold",
    cell: (setting) => (setting.live ? "at once" : <span class="faint">at a restart</span>),
    by: (setting) => (setting.live ? 0 : 1),
    hide: "narrow",
    width: "8rem",
  },
];

function row(setting: SettingView): Row {
  return {
    texts: () => [setting.key, setting.value, setting.source],
    field: (name) => {
      switch (name) {
        case "key":
          return [setting.key];
        case "value":
          return [setting.value];
        case "source":
          return [setting.source];
        case "live":
          return [String(setting.live)];
        default:
          return null;
      }
    },
  };
}

export function SettingsPage() {
  const filter = useFilter(FIELDS);
  const { state, reload } = useLoaded("settings", (signal) => get<SettingsView>("/api/v1/settings", signal), 10_000);
  const { value, problem } = state.value;
  const settings = value?.settings ?? [];
  const shown = settings.filter((setting) => fits(filter.node, row(setting)) !== false);
  return (
    <>
      <Head
        title="Settings"
        note={value ? `${plural(settings.length, "setting")} of ${value.node}; secrets are masked` : undefined}
      />
      <FilterField label="Filter the settings" hint="retention, !source:default" problem={filter.problem} />
      {problem && <Trouble text={problem} retry={reload} />}
      {value?.problem && <Trouble text={`Its sources cannot be taken as they are now: ${value.problem}`} />}
      {value && value.waiting.length > 0 && (
        <Panel title="Waits for a restart">
          <ul class="lines">
            {value.waiting.map((one) => (
              <li key={one.key}>
                <Badge tone="retry" letter="!" text={one.key} /> <code>{one.old ?? "none"}</code> becomes{" "}
                <code>{one.new ?? "none"}</code> <span class="faint">{one.source}</span>
              </li>
            ))}
          </ul>
        </Panel>
      )}
      <List
        label="Settings"
        rows={shown}
        rowKey={(setting) => setting.key}
        columns={COLUMNS}
        open={() => {}}
        empty={<Empty title={state.value.loading ? "Looking" : "No setting fits"} />}
      />
    </>
  );
}
