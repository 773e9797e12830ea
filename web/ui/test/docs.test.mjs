// /docs in a real browser, on a real server. scripts/pages-test starts both.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const { CALLBOARD, CALLBOARD_WITH_TOKEN, CALLBOARD_PLAIN, CHROMIUM, SCREENSHOTS } = process.env;
let browser;

before(async () => {
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
});
after(() => browser?.close());

/** A page that remembers everything that went wrong on it, and whom it asked. */
async function open(url) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 1600 } });
  const trouble = [];
  page.on("console", (message) => message.type() === "error" && trouble.push(message.text()));
  page.on("pageerror", (error) => trouble.push(String(error)));
  page.on("request", (request) => {
    const asked = new URL(request.url());
    if (asked.protocol !== "data:" && asked.origin !== new URL(url).origin) trouble.push(`asked ${request.url()}`);
  });
  await page.addInitScript(() => {
    globalThis.violations = [];
    document.addEventListener("securitypolicyviolation", (event) =>
      violations.push(`${event.violatedDirective} ${event.blockedURI}`),
    );
  });
  await page.goto(url);
  return { page, trouble };
}

async function shot(page, name) {
  if (SCREENSHOTS) await page.screenshot({ path: `${SCREENSHOTS}/${name}.png` });
}

test("the viewer shows every operation, and one can be tried", async () => {
  const { page, trouble } = await open(`${CALLBOARD}/docs`);
  await page.locator(".opblock").first().waitFor();
  const document = await (await fetch(`${CALLBOARD}/openapi.json`)).json();
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
  const { page } = await open(`${CALLBOARD_WITH_TOKEN}/docs`);
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
  const { page, trouble } = await open(`${CALLBOARD_PLAIN}/docs`);
  assert.match(await page.locator("h1").innerText(), /^Callboard .*the HTTP interface$/);
  assert.ok((await page.locator("h3").count()) > 20);
  await page.getByRole("link", { name: "SubmitJob" }).first().click();
  assert.equal(new URL(page.url()).hash, "#schema-SubmitJob");
  await page.locator("#schema-SubmitJob summary").click();
  assert.match(await page.locator("#schema-SubmitJob pre").innerText(), /"payload"/);
  await page.evaluate(() => scrollTo(0, 0));
  await shot(page, "plain");
  assert.deepEqual(trouble, []);
  assert.deepEqual(await page.evaluate(() => violations), []);
});
