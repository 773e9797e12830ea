// What the HTTP API says, as far as the pages show it.
import type { Json } from "../core/json";

export const JOB_STATES = [
  "pending",
  "scheduled",
  "available",
  "executing",
  "retryable",
  "completed",
  "cancelled",
  "discarded",
] as const;
export type JobState = (typeof JOB_STATES)[number];

export interface JobSummary {
  id: string;
  type: string;
  queue: string;
  state: JobState;
  attempt: number;
  max_attempts: number;
  priority: number;
  tags?: string[];
  partition_key?: string;
  created_at: string;
  scheduled_at: string;
  started_at?: string;
  finished_at?: string;
  wait_reason?: string;
  last_error?: string;
  cause?: string;
}

export interface AttemptView {
  attempt: number;
  outcome: "completed" | "failed" | "cancelled" | "released";
  node: string;
  claimed_at: string;
  started_at?: string;
  finished_at: string;
  error?: { kind: string; message: string; backtrace?: string; is_final?: boolean };
}

export interface JobEdit {
  original: string;
  replay: string;
  reason?: string;
  by: string;
  at: string;
}

export interface JobDetail extends JobSummary {
  payload: Json;
  metadata?: Json;
  result?: Json;
  timeout_ms: number;
  correlation_id: string;
  trace_id?: string;
  replay_of?: string;
  waits_for?: string;
  needs?: string[];
  cancel_requested_at?: string;
  progress?: { fraction: number; message?: string; at: string; attempt: number };
  published?: { attempt: number; at: string; value: Json };
  edits?: JobEdit[];
  attempts: AttemptView[];
}

export interface JobList {
  jobs: JobSummary[];
  next_cursor?: string;
}

export interface JobLogLine {
  position: string;
  attempt: number;
  at: string;
  level: "debug" | "info" | "warn" | "error" | "stdout" | "stderr";
  text: string;
  dropped_before?: number;
}

export interface SignalView {
  id: string;
  number: number;
  name: string;
  value: Json;
  by: string;
  at: string;
  taken?: { attempt: number; at: string };
  acknowledged_at?: string;
}

export interface FormField {
  pointer: string;
  label: string;
  help?: string;
  required: boolean;
  required_within?: string;
  secret?: boolean;
  default?: unknown;
  control: "text" | "integer" | "number" | "boolean" | "choice" | "texts" | "json";
  format?: string;
  min_length?: number;
  max_length?: number;
  pattern?: string;
  minimum?: number;
  maximum?: number;
  values?: unknown[];
}

export interface Form {
  fields: FormField[];
  objects?: string[];
}

export interface JobTypeView {
  type: string;
  description: string;
  queue: string;
  max_attempts: number;
  timeout_ms: number;
  form: Form;
}

export interface QueuePause {
  cause: "requested" | "job_crashes" | "actor_crashes";
  by: string;
  reason?: string;
  crashes?: {
    node: string;
    count: number;
    within_ms: number;
    last: { at: string; job?: string; type?: string; message: string };
  };
}

export interface QueueView {
  name: string;
  concurrency: number;
  max_backlog: number;
  pending: number;
  scheduled: number;
  available: number;
  executing: number;
  retryable: number;
  completed: number;
  cancelled: number;
  discarded: number;
  oldest_available_at?: string;
  paused_at?: string;
  pause?: QueuePause;
  max_running?: number;
  max_running_per_key?: number;
  rate?: string;
  rate_per_key?: string;
  labels?: Record<string, string>;
}

export interface NodeView {
  name: string;
  session: string;
  state: "ready" | "paused" | "draining" | "too_old" | "silent";
  leads: boolean;
  version: string;
  process: number;
  since: string;
  last_seen: string;
  roles: string[];
  queues: { name: string; concurrency: number }[];
  labels: Record<string, string>;
  capacity: number;
  running: number;
}

export interface EdgeView {
  name: string;
  state: "ready" | "tripped";
  since?: string;
  until?: string;
  reason?: string;
  set_by?: string;
  set_at?: string;
  parked: number;
  needed_by?: string[];
}

export interface CrashView {
  at: string;
  actor: string;
  generation: number;
  message_type?: string;
  reason: string;
  backtrace?: string;
}

/** A node of the tree as the feed has it. */
export interface TreeEntry {
  path: string;
  name: string;
  kind: "actor" | "supervisor" | "dynamic_supervisor";
  actor_type: string;
  state: string;
  condition?: string;
  generation: number;
  restarts: number;
  restarts_allowed: number;
  mailbox_depth: number;
  mailbox_capacity: number;
  refused: number;
  handled: number;
  crashes: number;
  current_message?: string;
  current_message_ms?: number;
  last_crashes?: CrashView[];
  parent: string | null;
  index: number;
}

export interface TreeNode extends Omit<TreeEntry, "parent" | "index"> {
  children?: TreeNode[];
}

export interface Alert {
  severity: "critical" | "warning";
  source: string;
  subject: string;
  text: string;
  since?: string;
}

export interface Percentiles {
  p50_ms: number;
  p95_ms: number;
  p99_ms: number;
}

export interface Overview {
  at: string;
  node: string;
  version: string;
  started_at: string;
  readiness: { status: string; version: string; reasons: { actor: string; reason: string }[] };
  totals: Record<JobState, number>;
  rates: Record<"submitted" | "started" | "completed" | "failed" | "retried" | "cancelled", number>;
  wait: Percentiles | null;
  run: Percentiles | null;
  nodes: number;
  alerts: Alert[];
}

export interface Series {
  resolution_ms: number;
  end: string;
  points: Record<string, (number | null)[]>;
}

export interface JobsChanged {
  changed: JobSummary[];
  more: number;
}

export interface DeadCause {
  cause: string;
  title: string;
  kind: string;
  type: string;
  queue: string;
  count: number;
  at_least: boolean;
  first_at: string;
  last_at: string;
  sample: string;
}

export interface Comparison {
  success?: { id: string; ran_ms?: number; finished_at?: string; node?: string };
  differences: { pointer: string; change: "added" | "removed" | "changed"; success?: Json; job?: Json }[];
  more_differences: boolean;
}

export interface BulkFilter {
  state?: JobState[];
  cause?: string;
  queue?: string;
  type?: string;
  tag?: string;
}

export interface BulkPreview {
  matched: number;
  at_least: boolean;
  sample: JobSummary[];
}

export interface BulkView {
  id: string;
  action: "retry" | "cancel";
  filter: BulkFilter;
  reason?: string;
  by: string;
  started_at: string;
  state: "running" | "done" | "stopped";
  waits_for?: string;
  matched: number;
  at_least: boolean;
  dealt_with: number;
  outcomes: Record<string, number>;
  problems?: { job: string; outcome: string; message: string }[];
  ended_at?: string;
}

export interface CronView {
  name: string;
  definition: {
    expression: string;
    time_zone: string;
    job: { type: string; queue?: string };
    overlap: string;
    backfill: string;
  };
  description: string;
  source: "configuration" | "api";
  set_by: string;
  paused_at?: string;
  fires_at?: string;
  next_times: { at: string; local: string }[];
  fired: number;
  skipped: number;
  missed: number;
  firings: { due: string; at: string; result: "fired" | "skipped" | "missed" | "by_hand"; job_id?: string; reason?: string }[];
}

export type WorkflowState = "running" | "cancelling" | "completed" | "failed" | "cancelled";
export type StepState = "waiting" | "active" | "completed" | "failed" | "cancelled";

export interface WorkflowView {
  id: string;
  name?: string;
  state: WorkflowState;
  steps: number;
  waiting: number;
  active: number;
  completed: number;
  failed: number;
  cancelled: number;
  on_end?: string;
  created_at: string;
  updated_at: string;
  finished_at?: string;
}

export interface StepView {
  number: number;
  name: string;
  job: string;
  type: string;
  state: StepState;
  job_state: JobState;
  on_failure: "fail" | "continue";
  open: number;
}

export interface WorkflowGraph {
  workflow: WorkflowView;
  steps: StepView[];
  edges: [number, number][];
  truncated: boolean;
}

export interface EventRecord {
  cursor: string;
  queue: string;
  event: { eventType: string; eventId: string; occurredAt: string; correlationId: string; payload: Record<string, Json> };
}

export interface SettingView {
  key: string;
  value: string;
  source: string;
  live: boolean;
}

export interface SettingsView {
  node: string;
  settings: SettingView[];
  waiting: { key: string; old?: string; new?: string; source?: string }[];
  problem?: string;
}

export interface AuditView {
  id: string;
  at: string;
  by: string;
  role?: string;
  node: string;
  action: string;
  target: string;
  detail?: Json;
  outcome: string;
}

export interface CommandView {
  id: string;
  node: string;
  action: string;
  state: "waiting" | "done" | "failed" | "expired";
  outcome?: string;
}

export interface Interface {
  name: string;
  url: string;
  about?: string;
}

export interface SessionView {
  authentication: "none" | "token" | "cookie";
  name?: string;
  role?: Role;
  expires_at?: string;
}

export type Role = "viewer" | "operator" | "admin";
