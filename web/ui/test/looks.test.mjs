// Every page, in dark and light and on a phone: for everybody, within its width, quickly there. SCREENSHOTS=FOLDER keeps pictures.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { barriers, eventually, fine, launch, open, Server, shot } from "./support.mjs";

/** Bytes that the first view may load, as they come over the line. */
const FIRST_VIEW = 200 * 1000;

let browser;
let server;
let pages;

before(async () => {
  [browser, server] = await Promise.all([launch(), Server.start("demo")]);
  const dead = await eventually("a job is dead", async () => (await server.ask("/api/v1/jobs?state=discarded")).jobs[0]?.id);
  const workflow = await eventually(
    "a workflow is there",
    async () => (await server.ask("/api/v1/workflows")).workflows[0]?.id,
  );
  await eventually("a queue is there", async () => (await server.ask("/api/v1/queues")).some((queue) => queue.name === "mail"));
  const [node] = await server.ask("/api/v1/nodes");
  await server.ask("/api/v1/queues/pictures/pause", "POST", { reason: "the disk is full" });
  pages = {
    overview: "/",
    jobs: "/jobs",
    search: "/jobs?q=attempt>0+!state:completed",
    nothing: "/jobs?q=tag:nobody",
    job: `/jobs/${dead}`,
    queues: "/queues?queue=pictures",
    dead: "/dead",
    tree: "/tree?actor=queues",
    cron: "/cron?entry=sync-stock",
    workflows: "/workflows",
    workflow: `/workflows/${workflow}`,
    nodes: `/nodes?node=${node.name}`,
    events: "/events",
    settings: "/settings?q=retention",
    audit: "/audit",
    nowhere: "/there-is-no-such-page",
  };
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** Boxes are opened by their keys. */
const BOXES = { add: "N", help: "?", palette: ":", interfaces: "U" };

const LOOKS = {
  light: { colorScheme: "light" },
  dark: { colorScheme: "dark" },
  phone: { colorScheme: "light", viewport: { width: 375, height: 740 }, hasTouch: true },
  "phone-dark": { colorScheme: "dark", viewport: { width: 360, height: 740 }, hasTouch: true },
};

for (const [look, options] of Object.entries(LOOKS)) {
  test(`every page in ${look}`, async () => {
    const opened = await open(browser, `${server.url}/ui/`, options);
    const { page } = opened;
    const found = [];
    const check = async (name) => {
      found.push(...(await barriers(page)).map((barrier) => `${name}: ${barrier}`));
      const [wide, width] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      if (wide > width) found.push(`${name}: ${wide} wide on ${width}`);
      await shot(page, `${name}-${look}`);
    };
    for (const [name, path] of Object.entries(pages)) {
      await page.goto(`${server.url}/ui${path}`);
      await page.locator("main h1, main .empty").first().waitFor();
      await page.getByText("Live", { exact: true }).waitFor();
      await page.waitForLoadState("load");
      await page.locator("main :text-is('Looking')").waitFor({ state: "detached" });
      if (name === "events") await page.locator("table.list").waitFor();
      await check(name);
    }
    for (const [name, key] of Object.entries(BOXES)) {
      await page.goto(`${server.url}/ui/jobs`);
      await page.getByText("Live", { exact: true }).waitFor();
      await page.keyboard.press(key);
      await page.locator("dialog[open] :is(select, dl, [role=listbox], .links a)").first().waitFor();
      await check(name);
    }
    assert.deepEqual(found, []);
    await fine(opened);
  });
}

test("on a phone the views are behind a button", async () => {
  const opened = await open(browser, `${server.url}/ui/`, LOOKS.phone);
  const { page } = opened;
  const views = page.getByRole("navigation", { name: "Views" });
  assert.equal(await views.isVisible(), false);
  await page.getByRole("button", { name: "Views" }).tap();
  await views.getByRole("link", { name: "Queues" }).waitFor();
  assert.deepEqual(await barriers(page), []);
  await views.getByRole("link", { name: "Queues" }).tap();
  await page.getByRole("heading", { name: "Queues" }).waitFor();
  assert.equal(await views.isVisible(), false);
  await fine(opened);
});

test("the first view is small and quickly there", async (t) => {
  const context = await browser.newContext();
  const page = await context.newPage();
  const devtools = await context.newCDPSession(page);
  await devtools.send("Network.enable");
  let bytes = 0;
  const streams = new Set();
  devtools.on("Network.requestWillBeSent", ({ requestId, request }) => {
    // What is watched has no end, and is what the server says, not what the page is.
    if (new URL(request.url).pathname.startsWith("/api/")) streams.add(requestId);
  });
  devtools.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    if (!streams.has(requestId)) bytes += encodedDataLength;
  });
  const started = Date.now();
  await page.goto(`${server.url}/ui/`);
  await page.locator(".tile-number").first().waitFor();
  const data = Date.now() - started;
  const painted = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
  t.diagnostic(
    `first view: ${bytes} bytes over the line, first paint after ${Math.round(painted)} ms, numbers after ${data} ms`,
  );
  assert.ok(bytes > 10_000 && bytes < FIRST_VIEW, `${bytes} bytes`);
  await context.close();
});

test("what is not shown any more is not asked for", async () => {
  const opened = await open(browser, `${server.url}/ui/`);
  const { page } = opened;
  await page.getByText("Live", { exact: true }).waitFor();
  await page.evaluate(() => {
    Object.defineProperty(document, "visibilityState", { value: "hidden", configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await page.getByText("Paused", { exact: true }).waitFor();
  let asked = 0;
  page.on("request", () => {
    asked++;
  });
  const finished = await page.evaluate(() => new Promise((done) => setTimeout(() => done(true), 3_000)));
  assert.deepEqual([finished, asked], [true, 0]);
  await page.evaluate(() => {
    Object.defineProperty(document, "visibilityState", { value: "visible", configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await page.getByText("Live", { exact: true }).waitFor();
  await fine(opened);
});
