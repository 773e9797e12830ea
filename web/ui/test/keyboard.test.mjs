// Everything by keys alone: no test in here points at anything.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, fine, launch, open, Server } from "./support.mjs";

let browser;
let server;

before(async () => {
  [browser, server] = await Promise.all([launch(), Server.start()]);
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

const heading = (page, name) => page.getByRole("heading", { level: 1, name }).waitFor();

test("views, help and commands", async () => {
  const opened = await open(browser, `${server.url}/ui/`);
  const { page } = opened;
  await heading(page, "Overview");
  const titles = ["Overview", "Jobs", "Queues", "Dead jobs", "Tree", "Cron", "Workflows", "Nodes and edges", "Events"];
  for (const [index, title] of titles.entries()) {
    await page.keyboard.press(String(index + 1));
    await heading(page, title);
  }
  // What help shows is what is pressed: each key of it is one of the table.
  await page.keyboard.press("2");
  await heading(page, "Jobs");
  await page.keyboard.press("?");
  const help = page.getByRole("dialog", { name: "Keys" });
  for (const does of ["Add a job", "Filter what is shown", "Show jobs", "Sort by the next column"]) {
    await help.getByText(does, { exact: true }).waitFor();
  }
  await page.keyboard.press("Escape");
  await help.waitFor({ state: "detached" });

  await page.keyboard.press(":");
  await page.keyboard.type("dlq");
  await page.keyboard.press("Enter");
  await heading(page, "Dead jobs");
  await page.keyboard.press("-");
  await heading(page, "Jobs");
  await page.keyboard.press("U");
  await page.getByRole("dialog", { name: "Web interfaces" }).getByRole("link", { name: "API" }).waitFor();
  await page.keyboard.press("Escape");
  await fine(opened);
});

test("a job is added, filtered, opened, cancelled and run again", async () => {
  const opened = await open(browser, `${server.url}/ui/jobs`);
  const { page } = opened;
  await heading(page, "Jobs");
  // A small n is no capital one.
  await page.keyboard.press("n");
  assert.equal(await page.getByRole("dialog").count(), 0);
  await page.keyboard.press("N");
  await page.getByRole("dialog", { name: "Add job" }).waitFor();
  await page.waitForFunction(() => document.activeElement?.tagName === "SELECT");
  await page.keyboard.type("sleep");
  await page.keyboard.press("Tab");
  await page.keyboard.type("600000");
  await page.keyboard.press("Enter");
  await page.getByText("sleep is stored:").waitFor();

  await page.keyboard.press("/");
  await page.keyboard.type("state:executing");
  await page.keyboard.press("Enter");
  await page.waitForURL(/q=state/);
  await page.locator("table.list tbody tr").first().waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press(" ");
  await page.getByText("1 marked").waitFor();
  await page.keyboard.press("Escape");
  await page.getByText("1 marked").waitFor({ state: "detached" });
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: /^sleep/ }).waitFor();

  await page.keyboard.press("C");
  const box = page.getByRole("dialog");
  await box.waitFor();
  await page.keyboard.press("Escape");
  await box.waitFor({ state: "detached" });
  await page.keyboard.press("C");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Enter");
  await page.locator("h1 .badge", { hasText: "cancelled" }).waitFor();
  await page.keyboard.press("r");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Enter");
  await page.getByText("It will run:").waitFor();
  const { jobs } = await server.ask("/api/v1/jobs?state=executing");
  assert.equal(jobs.length, 1);
  await page.keyboard.press("Escape");
  await heading(page, "Jobs");
  await fine(opened);
});

test("a long list is walked through and sorted", async () => {
  const later = new Date(Date.now() + 3_600_000).toISOString();
  const jobs = Array.from({ length: 500 }, (_, index) => ({
    type: index % 2 ? "noop" : "sleep",
    payload: index % 2 ? {} : { ms: 1 },
    priority: index,
    scheduled_at: later,
    tags: ["long"],
  }));
  await server.ask("/api/v1/jobs/batch", "POST", { jobs });
  const opened = await open(browser, `${server.url}/ui/jobs?q=tag:long`);
  const { page } = opened;
  const row = page.locator("table.list tbody tr:not(.space)");
  await row.first().waitFor();
  await page.keyboard.press("g");
  await page.waitForFunction(() => document.activeElement?.closest("tr")?.ariaRowIndex === "2");
  // The end is where all pages are loaded; the rows that are there at a time stay few.
  await eventually("all are loaded", async () => {
    await page.keyboard.press("G");
    return (await page.locator("table.list").getAttribute("aria-rowcount")) === "501";
  });
  await page.keyboard.press("G");
  await page.waitForFunction(() => document.activeElement?.closest("tr")?.ariaRowIndex === "501");
  assert.ok((await row.count()) < 100, `${await row.count()} rows`);
  await page.keyboard.press("g");
  await page.waitForFunction(() => document.activeElement?.closest("tr")?.ariaRowIndex === "2");
  await page.keyboard.press(">");
  await page.waitForURL(/sort=type/);
  await page.waitForFunction(() => document.querySelector("table.list tbody tr [data-primary]")?.textContent === "noop");
  await page.keyboard.press("=");
  await page.waitForURL(/sort=-type/);
  await page.waitForFunction(() => document.querySelector("table.list tbody tr [data-primary]")?.textContent === "sleep");
  await fine(opened);
});
