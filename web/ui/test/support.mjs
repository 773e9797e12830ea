// Real servers on ports of the system's choice, and a real browser that remembers everything that went wrong in it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const { PROGRAM, CHROMIUM, SCREENSHOTS } = process.env;
if (!PROGRAM || !CHROMIUM) throw new Error("scripts/pages-test says which program and which browser: PROGRAM, CHROMIUM");

/** A server, and how to end it. */
export class Server {
  static async start(
    command = "serve",
    { listen = "127.0.0.1:0", data, settings = [], args = [], config, environment = {} } = {},
  ) {
    const server = new Server();
    server.folder = data ?? (await mkdtemp(join(tmpdir(), "callboard-pages-")));
    const own = command === "serve" ? ["--data", server.folder, "--log", "human"] : [];
    const set = settings.flatMap((setting) => ["--set", setting]);
    if (config) {
      await writeFile(join(server.folder, "callboard.toml"), config);
      own.push("--config", join(server.folder, "callboard.toml"));
    }
    const env = { ...process.env, TMPDIR: server.folder, ...environment };
    server.process = spawn(PROGRAM, [command, "--listen", listen, ...own, ...set, ...args], {
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    server.ended = new Promise((done) => server.process.on("exit", done));
    const said = [];
    server.process.stderr.on("data", (text) => said.push(text));
    const lines = createInterface({ input: server.process.stdout });
    server.url = await new Promise((done, fail) => {
      lines.on("line", (line) => {
        said.push(`${line}\n`);
        const found = /http:\/\/127\.0\.0\.1:\d+/.exec(line);
        if (found) done(found[0]);
      });
      server.ended.then(() => fail(new Error(`the server did not start:\n${said.join("")}`)));
    });
    return server;
  }

  /** Ends it, and leaves what it has stored. */
  async end() {
    this.process.kill("SIGTERM");
    await this.ended;
  }

  async stop() {
    await this.end();
    await rm(this.folder, { recursive: true, force: true });
  }

  async ask(path, method = "GET", body = undefined, headers = {}) {
    const response = await fetch(this.url + path, {
      method,
      headers: { ...(body ? { "Content-Type": "application/json" } : {}), ...headers },
      body: body ? JSON.stringify(body) : undefined,
    });
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${response.ok ? "" : await response.text()}`);
    return response.json();
  }

  submit(job) {
    return this.ask("/api/v1/jobs", "POST", job);
  }
}

/** Asks until it is so. */
export async function eventually(what, check) {
  const until = Date.now() + 30_000;
  for (;;) {
    const found = await check();
    if (found) return found;
    assert.ok(Date.now() < until, `not in time: ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

export const launch = () => chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });

/** A page that remembers what went wrong on it, and whom it asked. `options` are those of a browser context. */
export async function open(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1360, height: 900 }, ...options });
  const page = await context.newPage();
  const trouble = [];
  page.on("pageerror", (error) => trouble.push(String(error)));
  page.on("console", (message) => {
    // What the server refuses, or cannot answer while it is away, the tests look at themselves.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) trouble.push(message.text());
  });
  page.on("request", (request) => {
    const asked = new URL(request.url());
    if (asked.protocol !== "data:" && asked.origin !== new URL(url).origin) trouble.push(`asked ${request.url()}`);
  });
  await page.addInitScript(() => {
    globalThis.violations = [];
    document.addEventListener("securitypolicyviolation", (event) => {
      violations.push(`${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  await page.goto(url);
  return { page, trouble };
}

/** Nothing was wrong, nobody else was asked, and the policy was kept. */
export async function fine({ page, trouble }) {
  assert.deepEqual(trouble, []);
  assert.deepEqual(await page.evaluate(() => violations), []);
  await page.context().close();
}

export async function shot(page, name) {
  if (SCREENSHOTS) await page.screenshot({ path: `${SCREENSHOTS}/${name}.png` });
}

const axe = await readFile(new URL("../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");

/** What is against WCAG 2.2 AA on the page. */
export async function barriers(page) {
  await page.evaluate(axe);
  const found = await page.evaluate(() =>
    axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }),
  );
  return found.violations.map(
    ({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`,
  );
}
