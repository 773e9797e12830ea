// What is shown says when it is not true any more, and is true again by itself.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { fine, launch, open, Server, shot } from "./support.mjs";

test("after a restart of the server the page shows what is new without being loaded anew", async () => {
  const browser = await launch();
  let server = await Server.start();
  try {
    await server.submit({ type: "noop", tags: ["before"] });
    const opened = await open(browser, `${server.url}/ui/jobs`);
    const { page } = opened;
    await page.getByText("Live", { exact: true }).waitFor();
    await page.locator("table.list .tag", { hasText: "before" }).waitFor();
    await page.evaluate(() => {
      globalThis.loaded = true;
    });
    await server.end();
    await page.getByText(/^Stale/).waitFor();
    await page.locator("table.list .tag", { hasText: "before" }).waitFor();
    await shot(page, "stale");
    server = await Server.start("serve", { listen: new URL(server.url).host, data: server.folder });
    await server.submit({ type: "noop", tags: ["after"] });
    await page.getByText("Live", { exact: true }).waitFor();
    await page.locator("table.list .tag", { hasText: "after" }).waitFor();
    assert.equal(await page.evaluate(() => globalThis.loaded), true);
    await fine(opened);
  } finally {
    await browser.close();
    await server.stop();
  }
});

test("a job's log comes as it is said, also over a lost line", async () => {
  const browser = await launch();
  const server = await Server.start("serve", { args: ["--allow-program", "sh"] });
  try {
    const script = "echo first; while [ ! -e go ]; do sleep 0.05; done; echo second";
    const { id } = await server.submit({
      type: "command",
      payload: { program: "sh", args: ["-c", script.replace("go", `${server.folder}/go`)] },
    });
    const opened = await open(browser, `${server.url}/ui/jobs/${id}`);
    const { page } = opened;
    await page.locator(".log-line", { hasText: "first" }).waitFor();
    assert.equal(await page.locator(".log-line", { hasText: "second" }).count(), 0);
    await page.context().setOffline(true);
    await writeFile(`${server.folder}/go`, "");
    await page.context().setOffline(false);
    await page.locator(".log-line", { hasText: "second" }).waitFor();
    assert.equal(await page.locator(".log-line", { hasText: "first" }).count(), 1);
    await fine(opened);
  } finally {
    await browser.close();
    await server.stop();
  }
});
