// Takes the pictures of docs/tour.md. scripts/tour starts it.
import { join } from "node:path";
import { chromium } from "playwright-core";
import { eventually, Server } from "../test/support.mjs";

const folder = process.argv[2];
const server = await Server.start("demo");
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });

/** A page in this colour scheme, looked at once `ready` is there. */
async function look(name, path, { scheme = "light", ready, before } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: scheme });
  const page = await context.newPage();
  await page.goto(server.url + path);
  if (before) await before(page);
  await page.getByText(ready).first().waitFor();
  // Charts and drawings are there with the second frame of the feed.
  await page.waitForTimeout(2500);
  await page.screenshot({ path: join(folder, `${name}.png`) });
  await context.close();
  console.log(name);
}

/** The console in the web terminal, after these keys; the last of them has done its work when `ready` is on the screen. */
async function console_(name, steps) {
  const context = await browser.newContext({ viewport: { width: 1000, height: 640 }, colorScheme: "dark" });
  const page = await context.newPage();
  await page.goto(`${server.url}/terminal`);
  for (const [keys, ready] of steps) {
    for (const key of keys) await page.keyboard.press(key);
    await page.waitForFunction(
      (text) => document.querySelector(".xterm-rows")?.innerText.replaceAll("\u00a0", " ").includes(text),
      ready,
      { timeout: 20_000 },
    );
  }
  await page.waitForTimeout(1500);
  await page.screenshot({ path: join(folder, `${name}.png`) });
  await context.close();
  console.log(name);
}

try {
  // Until something has failed for good, a workflow is under way and charts have something to draw.
  const dead = await eventually(
    "a job is dead",
    async () => (await server.ask("/api/v1/jobs?state=discarded&limit=1")).jobs[0],
  );
  const workflow = await eventually(
    "there is a workflow",
    async () => (await server.ask("/api/v1/workflows?limit=1")).workflows[0],
  );
  await eventually("there are numbers of half a minute", async () => {
    const { points } = await server.ask("/api/v1/series?names=completed");
    return points.completed.length > 30;
  });
  await look("overview", "/ui/", { ready: "Jobs a second" });
  await look("jobs", "/ui/jobs", { ready: "welcome-mail" });
  await look("job", `/ui/jobs/${dead.id}`, { scheme: "dark", ready: dead.type });
  await look("tree", "/ui/tree?actor=queues", { scheme: "dark", ready: "observers" });
  await look("dead-jobs", "/ui/dead", { ready: dead.type });
  await look("workflow", `/ui/workflows/${workflow.id}`, { ready: workflow.name });
  await look("add-job", "/ui/jobs", {
    ready: "When and where",
    before: async (page) => {
      await page.getByText("welcome-mail").first().waitFor();
      await page.keyboard.press("N");
    },
  });
  await console_("console-overview", [[[], "verview"]]);
  await console_("console-jobs", [
    [[], "verview"],
    [["2"], "welcome-mail"],
  ]);
  await console_("console-tree", [
    [[], "verview"],
    [["5"], "observers"],
  ]);
  await console_("console-help", [
    [[], "verview"],
    [["?"], "elp"],
  ]);
} finally {
  await browser.close();
  await server.stop();
}
