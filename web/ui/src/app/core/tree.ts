// Where the nodes of the supervision tree are drawn.
import type { TreeEntry } from "../api/types";

export interface Placed {
  entry: TreeEntry;
  x: number;
  y: number;
  depth: number;
}

export interface Drawing {
  nodes: Placed[];
  lines: { from: Placed; to: Placed }[];
  width: number;
  height: number;
}

export const NODE = { width: 200, height: 30 };
const ROW = 38;
const COLUMN = 240;
const INDENT = 18;

/** From left to right, each level a column; on narrow screens each below the one it belongs to. */
export function draw(tree: ReadonlyMap<string, TreeEntry>, narrow: boolean, room: number): Drawing {
  const children = new Map<string | null, TreeEntry[]>();
  for (const entry of tree.values()) {
    const siblings = children.get(entry.parent) ?? [];
    siblings.push(entry);
    children.set(entry.parent, siblings);
  }
  for (const siblings of children.values()) siblings.sort((left, right) => left.index - right.index);
  const drawing: Drawing = { nodes: [], lines: [], width: 0, height: 0 };
  let row = 0;
  const place = (entry: TreeEntry, depth: number): Placed => {
    const placed: Placed = { entry, x: depth * (narrow ? INDENT : COLUMN), y: 0, depth };
    drawing.nodes.push(placed);
    const below = children.get(entry.path) ?? [];
    if (narrow || below.length === 0) placed.y = row++ * ROW;
    const placedBelow = below.map((child) => place(child, depth + 1));
    if (!narrow && placedBelow.length > 0) placed.y = ((placedBelow[0]?.y ?? 0) + (placedBelow.at(-1)?.y ?? 0)) / 2;
    for (const child of placedBelow) drawing.lines.push({ from: placed, to: child });
    return placed;
  };
  for (const root of children.get(null) ?? []) place(root, 0);
  const deepest = Math.max(0, ...drawing.nodes.map((node) => node.depth));
  drawing.width = narrow ? room : deepest * COLUMN + NODE.width + 2;
  drawing.height = row * ROW;
  return drawing;
}
