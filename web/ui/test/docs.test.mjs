// /docs in a real browser, on a real server.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, open as openPage, Server, shot } from "./support.mjs";

let browser;
let server;
let locked;
let plain;
let none;

before(async () => {
  none = await mkdtemp(join(tmpdir(), "callboard-none-"));
  [browser, server, locked, plain] = await Promise.all([
    launch(),
    Server.start(),
    Server.start("serve", { environment: { CALLBOARD__WEB__TOKEN: "hush" } }),
    Server.start("serve", { settings: [`web.pages_dir=${none}`] }),
  ]);
});
after(async () => {
  await browser?.close();
  await Promise.all([server, locked, plain].map((one) => one?.stop()));
  await rm(none, { recursive: true });
});

const open = (url) => openPage(browser, url, { viewport: { width: 1280, height: 1600 } });

test("the viewer shows every operation, and one can be tried", async () => {
  const { page, trouble } = await open(`${server.url}/docs`);
  await page.locator(".opblock").first().waitFor();
  const document = await (await fetch(`${server.url}/openapi.json`)).json();
  const expected = Object.values(document.paths).flatMap((methods) => Object.keys(methods)).length;
  assert.equal(await page.locator(".opblock").count(), expected);
  await shot(page, "viewer");

  const queues = page.locator("#operations-Seeing-listQueues");
  await queues.locator(".opblock-summary-control").click();
  await queues.getByRole("button", { name: "Try it out" }).click();
  await queues.getByRole("button", { name: "Execute" }).click();
  const status = queues.locator(".live-responses-table .response-col_status").nth(1);
  await status.waitFor();
  assert.match(await status.innerText(), /^200/);
  assert.match(await queues.locator(".live-responses-table").innerText(), /"name": "default"/);
  await queues.scrollIntoViewIfNeeded();
  await shot(page, "tried");
  assert.deepEqual(trouble, []);
  assert.deepEqual(await page.evaluate(() => violations), []);
});

test("where a token is needed, it is asked for and sent", async () => {
  const { page } = await open(`${locked.url}/docs`);
  await page.getByLabel(/wants a token/).fill("wrong");
  await page.getByRole("button", { name: "Show the interface" }).click();
  await page.getByText("this token is not known").waitFor();
  await shot(page, "token");
  await page.getByLabel(/wants a token/).fill("hush");
  await page.getByRole("button", { name: "Show the interface" }).click();
  await page.locator(".opblock").first().waitFor();
  assert.equal(await page.locator("#access").isVisible(), false);
  const stats = page.locator("#operations-Seeing-getTotals");
  await stats.locator(".opblock-summary-control").click();
  await stats.getByRole("button", { name: "Try it out" }).click();
  await stats.getByRole("button", { name: "Execute" }).click();
  const status = stats.locator(".live-responses-table .response-col_status").nth(1);
  await status.waitFor();
  assert.match(await status.innerText(), /^200/);
  const kept = await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie]);
  assert.deepEqual(kept, [0, 0, ""]);
  assert.deepEqual(await page.evaluate(() => violations), []);
});

test("the plain page stands without anything built", async () => {
  const { page, trouble } = await open(`${plain.url}/docs`);
  assert.match(await page.locator("h1").innerText(), /^Callboard .*the HTTP interface$/);
  assert.ok((await page.locator("h3").count()) > 20);
  await page.getByRole("link", { name: "SubmitJob" }).first().click();
  assert.equal(new URL(page.url()).hash, "#schema-SubmitJob");
  await page.locator("#schema-SubmitJob summary").click();
  assert.match(await page.locator("#schema-SubmitJob pre").innerText(), /"payload"/);
  await page.evaluate(() => scrollTo(0, 0));
  await shot(page, "plain");
  await page.goto(`${plain.url}/ui/jobs`);
  assert.equal(await page.locator("h1").innerText(), "This server has no pages");
  assert.deepEqual(trouble, []);
  assert.deepEqual(await page.evaluate(() => violations), []);
});
