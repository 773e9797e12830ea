// A list of any length: only the rows that are to be seen are there. It is walked through, sorted and marked by keys and by hand.
import type { Signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { useCommands } from "../core/keys";
import { go, query, setQuery } from "../core/router";

export interface Column<T> {
  id: string;
  title: string;
  cell: (row: T) => ComponentChildren;
  /** By what it is sorted; without this it is not. */
  by?: (row: T) => string | number;
  /** Numbers stand below each other. */
  number?: boolean;
  /** A width in CSS; the others share what is left. */
  width?: string;
  /** Where it is left out: on narrow screens, or on all but wide ones. */
  hide?: "narrow" | "medium";
}

interface ListProps<T> {
  /** What it shows, for those who hear it. */
  label: string;
  rows: T[];
  rowKey: (row: T) => string;
  columns: Column<T>[];
  /** Where a row leads to: its first cell is the link. */
  address?: (row: T) => string;
  /** What happens instead. */
  open?: (row: T) => void;
  marks?: Signal<ReadonlySet<string>>;
  /** Whether the row is one that something was marked for. */
  selected?: (row: T) => boolean;
  empty: ComponentChildren;
  /** The end is near: more is to be loaded. */
  onEnd?: () => void;
  /** The row that keys are for, whenever it is another one. */
  onCursor?: (row: T | undefined) => void;
}

const ROW = 40;
/** Rows beyond what is to be seen, on either side. */
const MARGIN = 12;
/** Lists up to here are there as a whole. */
const SMALL = 150;

export function List<T>(props: ListProps<T>) {
  const { label, rows, rowKey, columns, address, open, marks, empty, onEnd, onCursor } = props;
  const sorting = query("sort");
  const sorted = useMemo(() => sort(rows, columns, sorting), [rows, columns, sorting]);
  const body = useRef<HTMLTableSectionElement>(null);
  const [seen, setSeen] = useState({ first: 0, last: SMALL });
  const [cursor, setCursor] = useState<string | null>(null);
  const wantsFocus = useRef(false);
  const windowed = sorted.length > SMALL;

  useEffect(() => {
    const look = () => {
      const top = body.current?.getBoundingClientRect().top ?? 0;
      const first = Math.max(0, Math.floor(-top / ROW) - MARGIN);
      const last = Math.ceil((innerHeight - top) / ROW) + MARGIN;
      setSeen((now) => (now.first === first && now.last === last ? now : { first, last }));
      if (onEnd && last >= sorted.length) onEnd();
    };
    look();
    addEventListener("scroll", look, { passive: true });
    addEventListener("resize", look);
    return () => {
      removeEventListener("scroll", look);
      removeEventListener("resize", look);
    };
  }, [sorted.length, onEnd]);

  const first = windowed ? Math.min(seen.first, sorted.length) : 0;
  const last = windowed ? Math.min(seen.last, sorted.length) : sorted.length;
  const place = cursor === null ? -1 : sorted.findIndex((row) => rowKey(row) === cursor);
  const current = sorted[place];

  // At once: the next key may be for this row already.
  useLayoutEffect(() => onCursor?.(current), [current, onCursor]);
  useLayoutEffect(() => {
    if (!wantsFocus.current || cursor === null) return;
    const row = body.current?.querySelector<HTMLElement>(`tr[data-key="${CSS.escape(cursor)}"]`);
    if (!row) return;
    wantsFocus.current = false;
    row.querySelector<HTMLElement>("[data-primary]")?.focus({ preventScroll: true });
  });

  const move = (to: number) => {
    const next = Math.max(0, Math.min(sorted.length - 1, to));
    const row = sorted[next];
    if (row === undefined) return;
    wantsFocus.current = true;
    setCursor(rowKey(row));
    const top = (body.current?.getBoundingClientRect().top ?? 0) + next * ROW;
    const above = 120;
    if (top < above) scrollBy(0, top - above);
    else if (top + 2 * ROW > innerHeight) scrollBy(0, top + 2 * ROW - innerHeight);
    if (next + MARGIN >= sorted.length) onEnd?.();
  };
  const toggle = (key: string) => {
    if (!marks) return;
    const marked = new Set(marks.value);
    if (!marked.delete(key)) marked.add(key);
    marks.value = marked;
  };
  const activate = (row: T) => {
    if (open) open(row);
    else if (address) go(address(row));
  };
  const sortable = columns.filter((column) => column.by);
  const resort = (step: number) => {
    const id = sorting.replace(/^-/, "");
    const all = ["", ...sortable.map((column) => column.id)];
    const next = all[(all.indexOf(id) + step + all.length) % all.length] ?? "";
    setQuery({ sort: next });
  };

  useCommands("In the list", [
    { name: "down", title: "Next row", keys: ["j", "ArrowDown"], run: () => move(place + 1) },
    { name: "up", title: "Row before", keys: ["k", "ArrowUp"], run: () => move(place < 0 ? 0 : place - 1) },
    { name: "first", title: "First row", keys: ["g", "Home"], run: () => move(0) },
    { name: "last", title: "Last row", keys: ["G", "End"], run: () => move(sorted.length - 1) },
    {
      name: "open",
      title: "Open the row",
      keys: ["Enter"],
      when: () => current !== undefined,
      run: () => current && activate(current),
    },
    ...(marks
      ? [
          {
            name: "mark",
            title: "Mark the row, or take the mark off",
            keys: [" "],
            when: () => current !== undefined,
            run: () => {
              if (current === undefined) return;
              toggle(rowKey(current));
              move(place + 1);
            },
          },
          {
            name: "mark all",
            title: "Mark all rows that are loaded",
            keys: ["A"],
            run: () => {
              marks.value = new Set(sorted.map(rowKey));
            },
          },
          {
            name: "unmark",
            title: "Take all marks off",
            keys: ["Escape"],
            when: () => marks.value.size > 0,
            run: () => {
              marks.value = new Set();
            },
          },
        ]
      : []),
    ...(sortable.length > 0
      ? [
          { name: "sort next", title: "Sort by the next column", keys: [">"], run: () => resort(1) },
          { name: "sort before", title: "Sort by the column before", keys: ["<"], run: () => resort(-1) },
          {
            name: "reverse",
            title: "Sort the other way round",
            keys: ["="],
            when: () => sorting !== "",
            run: () => setQuery({ sort: sorting.startsWith("-") ? sorting.slice(1) : `-${sorting}` }),
          },
        ]
      : []),
  ]);

  if (sorted.length === 0) return <>{empty}</>;
  const spaces = columns.length + (marks ? 1 : 0);
  return (
    <table class="list" aria-label={label} aria-rowcount={sorted.length + 1}>
      <thead>
        <tr>
          {marks && (
            <th scope="col" class="mark">
              <input
                type="checkbox"
                aria-label="Mark all rows that are loaded"
                checked={marks.value.size > 0 && marks.value.size >= sorted.length}
                onChange={(event) => {
                  marks.value = new Set(event.currentTarget.checked ? sorted.map(rowKey) : []);
                }}
              />
            </th>
          )}
          {columns.map((column) => (
            <Heading key={column.id} column={column} sorting={sorting} />
          ))}
        </tr>
      </thead>
      <tbody ref={body}>
        {first > 0 && <Space rows={first} columns={spaces} />}
        {sorted.slice(first, last).map((row, index) => {
          const key = rowKey(row);
          const kind = [key === cursor && "cursor", props.selected?.(row) && "selected"].filter(Boolean).join(" ");
          return (
            <tr
              key={key}
              data-key={key}
              class={kind}
              aria-rowindex={first + index + 2}
              onFocusCapture={() => cursor !== key && setCursor(key)}
              // Links and buttons in it are for those who use keys or hear the page; the rest of the row is as good for a hand.
              onClick={(event) => {
                if (!(event.target as Element).closest("a, button, input, label") && !getSelection()?.toString()) activate(row);
              }}
            >
              {marks && (
                <td class="mark">
                  <input
                    type="checkbox"
                    aria-label="Mark this row"
                    checked={marks.value.has(key)}
                    onChange={() => toggle(key)}
                  />
                </td>
              )}
              {columns.map((column, at) => (
                <td key={column.id} class={classes(column)}>
                  {at > 0 ? (
                    column.cell(row)
                  ) : address ? (
                    <a data-primary href={address(row)}>
                      {column.cell(row)}
                    </a>
                  ) : (
                    <button type="button" class="link" data-primary onClick={() => activate(row)}>
                      {column.cell(row)}
                    </button>
                  )}
                </td>
              ))}
            </tr>
          );
        })}
        {last < sorted.length && <Space rows={sorted.length - last} columns={spaces} />}
      </tbody>
    </table>
  );
}

function Heading<T>({ column, sorting }: { column: Column<T>; sorting: string }) {
  const by = sorting.replace(/^-/, "") === column.id;
  const down = sorting.startsWith("-");
  const next = !by ? column.id : down ? "" : `-${column.id}`;
  return (
    <th
      scope="col"
      class={classes(column)}
      style={column.width ? { "--width": column.width } : undefined}
      aria-sort={by ? (down ? "descending" : "ascending") : undefined}
    >
      {column.by ? (
        <button type="button" class="sort" onClick={() => setQuery({ sort: next })}>
          {column.title}
          <span aria-hidden="true">{by ? (down ? " ↓" : " ↑") : ""}</span>
        </button>
      ) : (
        column.title
      )}
    </th>
  );
}

function Space({ rows, columns }: { rows: number; columns: number }) {
  return (
    <tr aria-hidden="true" class="space">
      <td colSpan={columns} style={{ height: `${rows * ROW}px` }} />
    </tr>
  );
}

function classes<T>(column: Column<T>): string {
  return [column.number && "number", column.hide && `hide-${column.hide}`].filter(Boolean).join(" ");
}

function sort<T>(rows: T[], columns: Column<T>[], sorting: string): T[] {
  const by = columns.find((column) => column.id === sorting.replace(/^-/, ""))?.by;
  if (!by) return rows;
  const sign = sorting.startsWith("-") ? -1 : 1;
  const keyed = rows.map((row) => ({ row, key: by(row) }));
  keyed.sort(({ key: left }, { key: right }) =>
    left === right
      ? 0
      : (typeof left === "number" && typeof right === "number" ? left < right : String(left) < String(right))
        ? -sign
        : sign,
  );
  return keyed.map(({ row }) => row);
}
