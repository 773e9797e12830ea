// Who looks, where the server wants to know.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { barriers, fine, launch, open, Server, shot } from "./support.mjs";

const TOKENS = `
[[web.tokens]]
name = "ann"
role = "operator"
token = "operator-hush"

[[web.tokens]]
name = "vic"
role = "viewer"
token = "viewer-hush"
`;

let browser;
let server;

before(async () => {
  [browser, server] = await Promise.all([launch(), Server.start("serve", { config: TOKENS })]);
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

async function signIn(page, token) {
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
}

test("whoever signs in comes to where he wanted to, and out again", async () => {
  const opened = await open(browser, `${server.url}/ui/jobs?q=state:executing`);
  const { page } = opened;
  await page.waitForURL(/\/ui\/sign-in\?next=/);
  await signIn(page, "wrong");
  await page.locator("#sign-in-said:not(:empty)").waitFor();
  assert.deepEqual(await barriers(page), []);
  await shot(page, "sign-in-wrong");
  await signIn(page, "operator-hush");
  await page.waitForURL(/\/ui\/jobs\?q=state/);
  await page.getByText("Live", { exact: true }).waitFor();
  await page.getByText("ann").waitFor();
  // The token is in no place that a script could read.
  const kept = await page.evaluate(() => [JSON.stringify(localStorage), JSON.stringify(sessionStorage), document.cookie]);
  assert.ok(!kept.join().includes("hush"), kept.join());
  await page.getByRole("button", { name: /^Add job/ }).waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL(/\/ui\/sign-in/);
  await page.goto(`${server.url}/ui/queues`);
  await page.waitForURL(/\/ui\/sign-in\?next=/);
  await fine(opened);
});

test("nobody is led elsewhere by signing in", async () => {
  const opened = await open(browser, `${server.url}/ui/sign-in?next=https://elsewhere.example/`);
  const { page } = opened;
  await signIn(page, "viewer-hush");
  await page.waitForURL(`${server.url}/ui/`);
  await fine(opened);
});

test("a viewer sees everything and is offered nothing that he may not do", async () => {
  const headers = { Authorization: "Bearer operator-hush" };
  const job = { type: "sleep", payload: { ms: 600_000 } };
  const { id } = await server.ask("/api/v1/jobs", "POST", job, headers);
  const opened = await open(browser, `${server.url}/ui/jobs/${id}`);
  const { page } = opened;
  await signIn(page, "viewer-hush");
  const cancel = page.getByRole("button", { name: /^Cancel/ });
  await cancel.waitFor();
  assert.equal(await cancel.isDisabled(), true);
  assert.equal(await cancel.getAttribute("title"), "Your role is viewer; this needs operator");
  assert.equal(await page.getByRole("button", { name: /^Add job/ }).count(), 0);
  await page.keyboard.press("C");
  await page.keyboard.press("N");
  assert.equal(await page.getByRole("dialog").count(), 0);
  await fine(opened);
});
