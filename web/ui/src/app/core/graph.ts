// Where the steps of a workflow are drawn: each right of all that it waits for, near to them.

export interface Layers {
  places: Map<number, { column: number; row: number }>;
  columns: number;
  rows: number;
}

/** Sweeps over the columns; more changes little. */
const SWEEPS = 4;

export function layers(size: number, edges: [number, number][], numbers: number[]): Layers {
  const before = new Map<number, number[]>(numbers.map((number) => [number, []]));
  const after = new Map<number, number[]>(numbers.map((number) => [number, []]));
  for (const [from, to] of edges) {
    before.get(to)?.push(from);
    after.get(from)?.push(to);
  }
  const column = new Map<number, number>();
  const open = new Map(numbers.map((number) => [number, before.get(number)?.length ?? 0]));
  let ready = numbers.filter((number) => open.get(number) === 0);
  while (ready.length > 0) {
    const next: number[] = [];
    for (const number of ready) {
      column.set(number, Math.max(0, ...(before.get(number) ?? []).map((one) => (column.get(one) ?? 0) + 1)));
      for (const one of after.get(number) ?? []) {
        const left = (open.get(one) ?? 1) - 1;
        open.set(one, left);
        if (left === 0) next.push(one);
      }
    }
    ready = next;
  }
  const columns: number[][] = [];
  for (const number of numbers) {
    const place = column.get(number) ?? 0;
    columns[place] ??= [];
    columns[place].push(number);
  }
  const row = new Map<number, number>();
  const number = (column: number[]) => {
    column.forEach((one, index) => {
      row.set(one, index);
    });
  };
  columns.forEach(number);
  const middle = (one: number, others: Map<number, number[]>) => {
    const rows = (others.get(one) ?? []).map((other) => row.get(other) ?? 0);
    return rows.length > 0 ? rows.reduce((sum, place) => sum + place, 0) / rows.length : (row.get(one) ?? 0);
  };
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const forth = sweep % 2 === 0;
    for (const one of forth ? columns : [...columns].reverse()) {
      one.sort((left, right) => middle(left, forth ? before : after) - middle(right, forth ? before : after));
      number(one);
    }
  }
  const rows = Math.max(1, ...columns.map((one) => one.length));
  const places = new Map<number, { column: number; row: number }>();
  columns.forEach((one, index) => {
    // Shorter columns stand in the middle.
    const gap = (rows - one.length) / 2;
    one.forEach((step, place) => {
      places.set(step, { column: index, row: place + gap });
    });
  });
  return { places, columns: Math.max(1, columns.length), rows: size > 0 ? rows : 1 };
}
