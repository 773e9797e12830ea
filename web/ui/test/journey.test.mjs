// The way through the pages that the console has as well: a job is added, found, looked at, cancelled and run again; an actor is
// restarted, and the tree shows it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, fine, launch, open, Server, shot } from "./support.mjs";

let browser;
let server;

before(async () => {
  [browser, server] = await Promise.all([launch(), Server.start("serve", { args: ["--allow-program", "false"] })]);
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

test("a job is added by the form, found, cancelled and run again", async () => {
  const opened = await open(browser, `${server.url}/ui/`);
  const { page } = opened;
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await page.getByRole("button", { name: "Add job" }).first().click();
  const form = page.getByRole("dialog", { name: "Add job" });
  await form.getByLabel("Type", { exact: false }).first().selectOption("sleep");
  // What is missing, and what does not fit, is said where it is.
  await form.getByRole("button", { name: "Add job" }).click();
  await form.getByText(/^is needed: a whole number/).waitFor();
  await form.getByLabel(/^ms/).fill("soon");
  await form.getByRole("button", { name: "Add job" }).click();
  await form.getByText(/^a whole number.* is needed$/).waitFor();
  await shot(page, "form-problem");
  await form.getByLabel(/^ms/).fill("600000");
  await form.getByText("When and where").click();
  await form.getByLabel("Tags").fill("slow, customer:42");
  await form.getByRole("button", { name: "Add job" }).click();
  const link = page.locator(".toast a");
  const id = await link.innerText();
  assert.match(id, /^[0-9a-f-]{36}$/);

  // The filter is in the address, and the address alone shows the same.
  await page.getByRole("link", { name: "Jobs", exact: false }).first().click();
  await page.getByLabel("Filter the jobs").fill("tag:customer:42 attempt<9");
  await page.waitForURL(/q=tag/);
  await page.getByText(/1 job found in the newest \d+ looked through/).waitFor();
  await page.reload();
  const row = page.locator("table.list tbody tr");
  await row.filter({ hasText: "executing" }).waitFor();
  assert.equal(await row.count(), 1);
  await row.getByRole("link", { name: "sleep" }).click();
  await page.waitForURL(new RegExp(`/ui/jobs/${id}$`));

  await page.getByRole("button", { name: /^Cancel/ }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel job" }).click();
  await page.locator("h1 .badge", { hasText: "cancelled" }).waitFor();
  await page.getByText("Attempt 1 cancelled").first().waitFor();
  await shot(page, "cancelled");

  await page.getByRole("button", { name: /^Edit and retry/ }).click();
  const edit = page.getByRole("dialog");
  await edit.getByLabel("Payload, as JSON").fill('{ "ms": 5 ');
  await edit.getByRole("button", { name: "Retry" }).click();
  await edit.getByText(/line 1, letter \d+/).waitFor();
  await edit.getByLabel("Payload, as JSON").fill('{ "ms": 5 }');
  await edit.getByLabel(/^Why/).fill("it slept for too long");
  await edit.getByRole("button", { name: "Retry" }).click();
  await page.waitForURL((url) => url.pathname.startsWith("/ui/jobs/") && !url.pathname.endsWith(id));
  await page.locator("h1 .badge", { hasText: "completed" }).waitFor();
  await page.getByText("it slept for too long").waitFor();
  await fine(opened);
});

test("large numbers of a payload keep their digits", async () => {
  const text = '{"type":"noop","payload":{},"metadata":{"account":12345678901234567890,"share":0.10}}';
  const answer = await fetch(`${server.url}/api/v1/jobs`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: text,
  });
  const { id } = await answer.json();
  const opened = await open(browser, `${server.url}/ui/jobs/${id}`);
  await opened.page.getByText("12345678901234567890").waitFor();
  await fine(opened);
});

test("many jobs are marked, and cancelled after their number was shown", async () => {
  const later = new Date(Date.now() + 3_600_000).toISOString();
  for (const ms of [1, 2, 3]) await server.submit({ type: "sleep", payload: { ms }, tags: ["many"], scheduled_at: later });
  const opened = await open(browser, `${server.url}/ui/jobs?q=tag:many+state:scheduled`);
  const { page } = opened;
  const rows = page.locator("table.list tbody tr");
  await rows.nth(2).waitFor();
  await rows.nth(0).getByLabel("Mark this row").check();
  await rows.nth(1).getByLabel("Mark this row").check();
  await page.getByText("2 marked").waitFor();
  await page
    .locator(".marked")
    .getByRole("button", { name: /Cancel/ })
    .click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel 2" }).click();
  await page.getByText("2 jobs cancelled").waitFor();
  await eventually("the list has one left", async () => (await rows.count()) === 1);
  // All that fit, on the server: counted first.
  await page.getByRole("button", { name: "Cancel all that fit" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel 1" }).click();
  await page.getByText(/1 of 1 job: 1 cancelled/).waitFor();
  await fine(opened);
});

test("dead jobs are grouped by what they died of, and run again together", async () => {
  for (const argument of ["1", "2"]) {
    await server.submit({ type: "command", payload: { program: "false", args: [argument] }, max_attempts: 1 });
  }
  const opened = await open(browser, `${server.url}/ui/dead`);
  const { page } = opened;
  const row = page.locator("table.list tbody tr");
  await eventually("both have one cause", async () => (await row.count()) === 1 && /\b2\b/.test(await row.innerText()));
  await page.keyboard.press("j");
  await page.keyboard.press("r");
  await page.getByRole("dialog").getByRole("button", { name: "Retry 2" }).click();
  await page.getByText(/2 of 2 jobs: 2 replayed/).waitFor();
  await fine(opened);
});

test("a queue is drained, and goes on", async () => {
  const { id } = await server.submit({ type: "sleep", payload: { ms: 600_000 } });
  await eventually("it runs", async () => (await server.ask(`/api/v1/jobs/${id}`)).state === "executing");
  const opened = await open(browser, `${server.url}/ui/queues?queue=default`);
  const { page } = opened;
  const panel = page.locator("section.panel").first();
  await panel.getByRole("button", { name: "Drain" }).click();
  const box = page.getByRole("dialog");
  await box.getByLabel(/^Why/).fill("the mail server moves");
  await box.getByRole("button", { name: "Drain" }).click();
  await panel.getByText("draining, 1 run", { exact: false }).waitFor();
  await panel.getByText("the mail server moves").waitFor();
  await server.ask(`/api/v1/jobs/${id}/cancel`, "POST", {});
  await panel.getByText("Paused, and none of its jobs runs", { exact: false }).waitFor();
  await panel.getByRole("button", { name: "Resume" }).click();
  await panel.getByRole("button", { name: "Pause" }).waitFor();

  await page.keyboard.press("L");
  await box.getByLabel("Jobs in a time, at most").fill("many");
  await box.getByRole("button", { name: "Set limits" }).click();
  await page.locator(".toast.dead").waitFor();
  await box.getByLabel("Jobs in a time, at most").fill("100/1m");
  await box.getByLabel("Jobs that each node runs at once").fill("7");
  await box.getByRole("button", { name: "Set limits" }).click();
  await box.waitFor({ state: "detached" });
  await panel.getByText("100/1m").waitFor();
  await eventually("the node runs seven", async () => (await server.ask("/api/v1/queues/default")).concurrency === 7);
  await fine(opened);
});

test("an actor is restarted, and the tree shows it; one is suspended and goes on", async () => {
  const opened = await open(browser, `${server.url}/ui/tree`);
  const { page } = opened;
  const actor = page.locator("#actor-observers\\/metrics");
  await actor.click();
  await page.waitForURL(/actor=/);
  const details = page.getByRole("complementary", { name: "The actor" });
  await details.getByRole("button", { name: "Restart" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Restart" }).click();
  await page.locator(".tree-node.restarted:has(#actor-observers\\/metrics)").waitFor();
  await shot(page, "restarted");
  await page.getByRole("link", { name: /^observers\/metrics, actor, running, 1 restart$/ }).waitFor();
  assert.equal(await actor.getAttribute("data-generation"), "1");

  await details.getByRole("button", { name: "Suspend" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Suspend" }).click();
  await page.getByRole("link", { name: /^observers\/metrics, actor, suspended/ }).waitFor();
  await details.getByRole("button", { name: "Resume" }).click();
  await page.getByRole("link", { name: /^observers\/metrics, actor, running/ }).waitFor();

  // Who did it is kept.
  await page.goto(`${server.url}/ui/audit`);
  await page.getByText("observers/metrics").first().waitFor();
  await fine(opened);
});
