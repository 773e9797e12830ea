// The views, in the order of their keys, which are the console's.

export interface View {
  path: string;
  title: string;
  /** What `:` finds it by, beside its title. */
  aliases: string[];
}

export const VIEWS: View[] = [
  { path: "/", title: "Overview", aliases: ["dashboard", "home"] },
  { path: "/jobs", title: "Jobs", aliases: [] },
  { path: "/queues", title: "Queues", aliases: [] },
  { path: "/dead", title: "Dead jobs", aliases: ["dlq", "causes"] },
  { path: "/tree", title: "Tree", aliases: ["actors", "supervisors"] },
  { path: "/cron", title: "Cron", aliases: ["schedule"] },
  { path: "/workflows", title: "Workflows", aliases: ["batches"] },
  { path: "/nodes", title: "Nodes", aliases: ["edges", "fleet"] },
  { path: "/events", title: "Events", aliases: ["log"] },
  { path: "/settings", title: "Settings", aliases: ["configuration"] },
  { path: "/audit", title: "Audit", aliases: ["trail"] },
];
