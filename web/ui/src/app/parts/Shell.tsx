// What stands around every view: the views, how the server is, and the boxes that any of them can open.
import { signal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";
import { now } from "../core/clock";
import { coarse, short } from "../core/format";
import { type Command, useCommands } from "../core/keys";
import { reloads } from "../core/load";
import { type Theme, theme } from "../core/memory";
import { go, href, place } from "../core/router";
import { may, session, signOut } from "../core/session";
import { dismiss, sayProblem, toasts } from "../core/toasts";
import { VIEWS } from "../core/views";
import { refresh } from "../live/feed";
import { line, overview, queues } from "../live/state";
import { AuditPage } from "../views/Audit";
import { CronPage } from "../views/Cron";
import { DeadPage } from "../views/Dead";
import { EventsPage } from "../views/Events";
import { JobPage } from "../views/Job";
import { JobsPage } from "../views/Jobs";
import { NodesPage } from "../views/Nodes";
import { OverviewPage } from "../views/Overview";
import { QueuesPage } from "../views/Queues";
import { SettingsPage } from "../views/Settings";
import { SignInPage } from "../views/SignIn";
import { TreePage } from "../views/Tree";
import { WorkflowPage } from "../views/Workflow";
import { WorkflowsPage } from "../views/Workflows";
import { AddJob } from "./AddJob";
import { Empty, Head } from "./basic";
import { Questions } from "./Dialog";
import { Help } from "./Help";
import { Interfaces } from "./Interfaces";
import { Palette } from "./Palette";

type Box = "add" | "interfaces" | "help" | "palette";

/** Which box is open. */
export const box = signal<Box | null>(null);
/** Whether the views are shown on a narrow screen. */
const menu = signal(false);

const PAGES: [RegExp, ComponentType<{ id: string }>][] = [
  [/^\/$/, OverviewPage],
  [/^\/tree$/, TreePage],
  [/^\/jobs$/, JobsPage],
  [/^\/jobs\/([^/]+)$/, JobPage],
  [/^\/queues$/, QueuesPage],
  [/^\/dead$/, DeadPage],
  [/^\/cron$/, CronPage],
  [/^\/workflows$/, WorkflowsPage],
  [/^\/workflows\/([^/]+)$/, WorkflowPage],
  [/^\/nodes$/, NodesPage],
  [/^\/events$/, EventsPage],
  [/^\/settings$/, SettingsPage],
  [/^\/audit$/, AuditPage],
];

export function focusFilter(): void {
  document.querySelector<HTMLInputElement>("[data-filter]")?.focus();
}

const THEMES: Theme[] = ["auto", "light", "dark"];

function nextTheme(): void {
  theme.value = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length] ?? "auto";
}

const everywhere: Command[] = [
  ...VIEWS.map((view, index) => ({
    name: view.title.toLowerCase(),
    aliases: [...view.aliases, view.path.slice(1)],
    title: `Show ${view.title.toLowerCase()}`,
    keys: index < 9 ? [String(index + 1)] : [],
    run: () => go(href(view.path)),
  })),
  {
    name: "filter",
    title: "Filter what is shown",
    keys: ["/"],
    when: () => document.querySelector("[data-filter]") !== null,
    run: focusFilter,
  },
  { name: "command", title: "Do something by its name", keys: [":"], run: () => (box.value = "palette") },
  {
    name: "add job",
    aliases: ["new", "submit"],
    title: "Add a job",
    keys: ["N"],
    role: "operator",
    run: () => (box.value = "add"),
  },
  {
    name: "interfaces",
    aliases: ["urls", "web"],
    title: "List the web interfaces",
    keys: ["U"],
    run: () => (box.value = "interfaces"),
  },
  {
    name: "refresh",
    title: "Ask for everything anew",
    keys: ["R"],
    run: () => {
      reloads.value++;
      refresh();
    },
  },
  { name: "back", title: "Where you were before", keys: ["-", "["], run: () => history.back() },
  { name: "ahead", title: "One place ahead", keys: ["]"], run: () => history.forward() },
  { name: "theme", title: "Change between dark, light, and what the system says", run: nextTheme },
  { name: "help", title: "Show the keys", keys: ["?"], run: () => (box.value = "help") },
];

export function Shell() {
  const { path } = place.value;
  useCommands("Everywhere", everywhere);
  useEffect(() => {
    menu.value = false;
  }, [path]);
  if (path === "/sign-in") return <SignInPage />;
  let found: { Page: ComponentType<{ id: string }>; id: string } | undefined;
  for (const [pattern, Page] of PAGES) {
    const match = pattern.exec(path);
    if (match) found = { Page, id: match[1] ?? "" };
  }
  const view = VIEWS.find((view) => view.path !== "/" && path.startsWith(view.path)) ?? VIEWS[0];
  document.title = path === "/" ? "Callboard" : `${found ? view?.title : "Nothing here"} · Callboard`;
  const close = () => {
    box.value = null;
  };
  return (
    <div class={menu.value ? "app menu-open" : "app"}>
      <a class="skip" href="#main">
        To what is shown
      </a>
      <Side path={path} />
      <div class="page">
        <Top />
        <main id="main" tabIndex={-1}>
          {found ? (
            <found.Page id={found.id} key={path} />
          ) : (
            <>
              <Head title="Nothing here" />
              <Empty title="There is nothing at this address">
                The menu has all views; <kbd>:</kbd> finds them by name.
              </Empty>
            </>
          )}
        </main>
      </div>
      {box.value === "add" && <AddJob close={close} />}
      {box.value === "interfaces" && <Interfaces close={close} />}
      {box.value === "help" && <Help close={close} />}
      {box.value === "palette" && <Palette close={close} />}
      <Questions />
      <Toasts />
    </div>
  );
}

function Side({ path }: { path: string }) {
  const totals = overview.value?.totals;
  const paused = [...(queues.value?.values() ?? [])].filter((queue) => queue.paused_at).length;
  const numbers: Record<string, { text: string; kind: string; title: string } | undefined> = {
    "/jobs": totals?.executing ? { text: short(totals.executing), kind: "running", title: "executing" } : undefined,
    "/queues": paused ? { text: `${paused}`, kind: "paused", title: "paused" } : undefined,
    "/dead": totals?.discarded ? { text: short(totals.discarded), kind: "dead", title: "discarded" } : undefined,
  };
  return (
    <nav class="side" id="views" aria-label="Views">
      <a class="brand" href={href("/")}>
        <svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true">
          <rect width="32" height="32" rx="7" class="brand-back" />
          <path d="M8 10h10M8 16h16M8 22h6" class="brand-line" />
        </svg>
        Callboard
      </a>
      <ul>
        {VIEWS.map((view, index) => {
          const here = view.path === "/" ? path === "/" : path === view.path || path.startsWith(`${view.path}/`);
          const number = numbers[view.path];
          return (
            <li key={view.path}>
              <a href={href(view.path)} aria-current={here ? "page" : undefined}>
                <span>{view.title}</span>
                {number && (
                  <span class={`tally ${number.kind}`}>
                    {number.text}
                    <span class="heard"> {number.title}</span>
                  </span>
                )}
                {index < 9 && <kbd aria-hidden="true">{index + 1}</kbd>}
              </a>
            </li>
          );
        })}
      </ul>
      <div class="side-foot">
        <a href="/docs">HTTP interface</a>
        <button type="button" class="link" onClick={() => (box.value = "interfaces")}>
          Web interfaces
        </button>
        {overview.value && (
          <p class="faint">
            {overview.value.node} · {overview.value.version}
          </p>
        )}
      </div>
    </nav>
  );
}

function Top() {
  const who = session.value;
  return (
    <header class="top">
      <button
        type="button"
        class="quiet menu"
        aria-expanded={menu.value}
        aria-controls="views"
        onClick={() => {
          menu.value = !menu.value;
        }}
      >
        Views
      </button>
      <LineBadge />
      <div class="top-right">
        {may("operator") && (
          <button type="button" class="primary" onClick={() => (box.value = "add")}>
            Add job<kbd>N</kbd>
          </button>
        )}
        <button type="button" class="quiet wide" onClick={() => (box.value = "palette")}>
          Commands<kbd>:</kbd>
        </button>
        <button type="button" class="quiet" onClick={() => (box.value = "help")} aria-label="Keys">
          <kbd>?</kbd>
        </button>
        <button type="button" class="quiet" onClick={nextTheme} aria-label={`Colours: ${theme.value}`}>
          {{ auto: "Auto", light: "Light", dark: "Dark" }[theme.value]}
        </button>
        {who && who.authentication !== "none" && (
          <span class="who">
            <span class="wide">
              {who.name} <span class="faint">{who.role}</span>
            </span>
            {who.authentication === "cookie" && (
              <button type="button" class="quiet" onClick={() => signOut().catch((error) => sayProblem("Signing out", error))}>
                Sign out
              </button>
            )}
          </span>
        )}
      </div>
    </header>
  );
}

/** Whether what is shown is true. */
function LineBadge() {
  const { state, heardAt, why } = line.value;
  const old = heardAt > 0 ? coarse(now.value - heardAt) : "";
  switch (state) {
    case "live":
      return (
        <p class="line live" role="status">
          <span class="dot" aria-hidden="true" />
          Live
        </p>
      );
    case "lost":
      return (
        <p class="line stale" role="status" title={why}>
          <span class="dot" aria-hidden="true" />
          Stale{old && ` for ${old}`}: {why}
        </p>
      );
    case "paused":
      return (
        <p class="line" role="status">
          <span class="dot" aria-hidden="true" />
          Paused
        </p>
      );
    case "connecting":
      return (
        <p class="line" role="status">
          <span class="dot" aria-hidden="true" />
          Connecting
        </p>
      );
  }
}

function Toasts() {
  return (
    <div class="toasts" aria-live="polite">
      {toasts.value.map((toast) => (
        <div key={toast.number} class={`toast ${toast.tone}`}>
          <span>
            {toast.text} {toast.link && <a href={toast.link.href}>{toast.link.text}</a>}
          </span>
          <button type="button" class="small quiet" aria-label="Dismiss" onClick={() => dismiss(toast.number)}>
            ×
          </button>
        </div>
      ))}
    </div>
  );
}
