// /terminal in a real browser, on a real server whose sessions run a shell.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { launch, Server } from "./support.mjs";

const { SCREENSHOTS } = process.env;
let [CALLBOARD, CALLBOARD_TERMINAL] = ["", ""];
let servers = [];
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
let browser;

before(async () => {
  const settings = [
    'terminal.commands=[{ name = "test", program = "/bin/sh" }]',
    "terminal.command=test",
    "terminal.test_mode=true",
    "terminal.per_address=20",
  ];
  servers = await Promise.all([Server.start(), Server.start("serve", { settings })]);
  [CALLBOARD, CALLBOARD_TERMINAL] = servers.map((server) => server.url);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await Promise.all(servers.map((server) => server.stop()));
});

/** A terminal that remembers everything that went wrong. When the test ends, so does its session. */
async function open(t, query = "", at = CALLBOARD_TERMINAL) {
  const context = await browser.newContext({ viewport: { width: 1000, height: 600 } });
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const page = await context.newPage();
  const trouble = [];
  page.on("console", (message) => message.type() === "error" && trouble.push(message.text()));
  page.on("pageerror", (error) => trouble.push(String(error)));
  await page.addInitScript(() => {
    globalThis.violations = [];
    document.addEventListener("securitypolicyviolation", (event) =>
      violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`),
    );
  });
  t.after(async () => {
    const session = await kept(page).catch(() => null);
    await context.close();
    if (session) await end(session.session, at);
  });
  await page.goto(`${at}/terminal${query}`);
  return { page, trouble };
}

const kept = (page) => page.evaluate(() => JSON.parse(sessionStorage.getItem("callboard.terminal")));

async function end(session, at) {
  const headers = { "Content-Type": "application/json" };
  await fetch(`${at}/api/v1/terminal/sessions/${session}`, { method: "DELETE", headers });
}

const connected = (page) => page.getByText(/^test, connected/).waitFor();

async function shown(page, pattern) {
  const found = page.waitForFunction(
    ([source]) => new RegExp(source).test(document.querySelector(".xterm-rows").innerText.replaceAll("\u00a0", " ")),
    [pattern.source],
    { timeout: 15_000 },
  );
  await found.catch(async (error) => {
    throw new Error(`${pattern} in ${await page.locator(".xterm-rows").innerText()}`, { cause: error });
  });
}

async function type(page, text) {
  await page.keyboard.type(text);
  await page.keyboard.press("Enter");
}

async function shot(page, name) {
  if (SCREENSHOTS) await page.screenshot({ path: `${SCREENSHOTS}/${name}.png` });
}

test("what is typed reaches the program, and what it writes is seen", async (t) => {
  const { page, trouble } = await open(t);
  await connected(page);
  await type(page, "echo a$((20 + 1))b");
  await shown(page, /a21b/);
  await type(
    page,
    "printf '\\033[31mred\\033[0m \\033[38;2;10;200;250mtrue\\033[0m \\342\\227\\217 \\344\\270\\255\\346\\226\\207 \\360\\237\\246\\200\\n'",
  );
  await shown(page, /red true ● 中文 🦀/);
  await shot(page, "terminal");
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run());
  assert.deepEqual(
    violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]),
    [],
  );
  assert.deepEqual(trouble, []);
  assert.deepEqual(await page.evaluate(() => violations), []);
});

test("the console is there, and does what is typed", async (t) => {
  const { page, trouble } = await open(t, "", CALLBOARD);
  await shown(page, /READY/);
  const [server] = servers;
  const { id } = await server.submit({ type: "noop", tags: ["typed"] });
  await page.keyboard.type("2");
  await shown(page, /completed +noop/);
  await type(page, "/tag:typed");
  await shown(page, /jobs .*tag:typed/);
  await page.keyboard.press("Enter");
  await shown(page, new RegExp(id));
  // The same session, with what was on the screen, when the page is loaded again.
  await page.reload();
  await shown(page, new RegExp(id));
  assert.deepEqual(trouble, []);
});

test("the keyboard gets into the terminal and out of it", async (t) => {
  const { page } = await open(t);
  await connected(page);
  const focused = () => page.evaluate(() => document.activeElement.className || document.activeElement.id);
  assert.equal(await focused(), "xterm-helper-textarea");
  await page.keyboard.press("Shift+F6");
  assert.equal(await focused(), "reader");
  await page.keyboard.press("Space");
  assert.equal(await focused(), "xterm-helper-textarea");
  await page.locator(".xterm-accessibility").waitFor({ state: "attached" });
});

test("the terminal has the size of the window", async (t) => {
  const { page } = await open(t);
  await connected(page);
  let asked = 0;
  const size = async () => {
    asked += 1;
    await type(page, `echo "s$((${asked}))=$(stty size)="`);
    await shown(page, new RegExp(`s${asked}=\\d+ \\d+=`));
    const found = (await page.locator(".xterm-rows").innerText()).match(new RegExp(`s${asked}=(\\d+)\\s(\\d+)=`));
    return found.slice(1).map(Number);
  };
  const [rows, cols] = await size();
  await page.setViewportSize({ width: 700, height: 400 });
  await page.waitForFunction((before) => document.querySelectorAll(".xterm-rows > div").length < before, rows);
  const [fewer, narrower] = await size();
  assert.ok(fewer < rows && narrower < cols, `${fewer} ${narrower}`);
});

test("a page that is loaded again goes on with its session", async (t) => {
  const { page, trouble } = await open(t);
  await connected(page);
  await type(page, "kept=from-before; echo o$((1))k");
  await shown(page, /o1k/);
  const first = await kept(page);
  await page.reload();
  await page.getByText("test, connected again").waitFor();
  await shown(page, /o1k/);
  await type(page, "echo is-$kept");
  await shown(page, /is-from-before/);
  const second = await kept(page);
  assert.equal(second.session, first.session);
  assert.notEqual(second.resume_token, first.resume_token);
  assert.deepEqual(trouble, []);
});

test("a lost connection is made again, without anything twice", async (t) => {
  const { page } = await open(t);
  await connected(page);
  await type(page, "echo o$((1))k");
  await shown(page, /o1k/);
  const { session, resume_token: token } = await kept(page);
  // Somebody else with its token takes it over; the page says so, and has it back when it is asked.
  const other = await page.evaluate(
    async ([session, resume_token]) => {
      const body = JSON.stringify({ scope: "write", cols: 80, rows: 24, session });
      const headers = { "Content-Type": "application/json" };
      const answer = await fetch("/api/v1/terminal/tickets", { method: "POST", headers, body });
      const { ticket } = await answer.json();
      const socket = new WebSocket(`ws://${location.host}/ws`, "callboard.terminal.v2");
      socket.binaryType = "arraybuffer";
      await new Promise((resolve) => {
        socket.onopen = resolve;
      });
      const frame = new TextEncoder().encode(`\0${JSON.stringify({ ticket, resume_token })}`);
      socket.send(frame);
      return new Promise((resolve) => {
        socket.onmessage = ({ data }) => resolve(new Uint8Array(data)[0]);
      });
    },
    [session, token],
  );
  assert.equal(other, 0x10);
  await page.getByText("Another tab has taken the session over.").waitFor();
  await end(session, CALLBOARD_TERMINAL);
});

test("a ticket is good once, and only for pages of this server", async (t) => {
  const { page } = await open(t);
  await connected(page);
  const codes = await page.evaluate(async () => {
    const body = JSON.stringify({ scope: "read", cols: 80, rows: 24 });
    const headers = { "Content-Type": "application/json" };
    const { ticket } = await (await fetch("/api/v1/terminal/tickets", { method: "POST", headers, body })).json();
    const use = () =>
      new Promise((resolve) => {
        const socket = new WebSocket(`ws://${location.host}/ws`, "callboard.terminal.v2");
        socket.binaryType = "arraybuffer";
        socket.onopen = () => socket.send(new TextEncoder().encode(`\0${JSON.stringify({ ticket })}`));
        socket.onmessage = ({ data }) => {
          resolve(new Uint8Array(data)[0]);
          socket.close();
        };
      });
    return [await use(), await use()];
  });
  assert.deepEqual(codes, [0x10, 0x16]);

  // The other server is another origin.
  const foreign = await browser.newPage();
  await foreign.goto(`${CALLBOARD}/stats`);
  const connects = (protocols) =>
    foreign.evaluate(
      ([url, protocols]) =>
        new Promise((resolve) => {
          const socket = new WebSocket(url, protocols);
          socket.onopen = () => resolve(true);
          socket.onerror = () => resolve(false);
        }),
      [`${CALLBOARD_TERMINAL.replace("http", "ws")}/ws`, protocols],
    );
  assert.deepEqual([await connects([]), await connects(["callboard.terminal.v2"])], [false, false]);
  await foreign.close();
});

test("a program that writes without end is stopped by a key", async (t) => {
  const { page } = await open(t);
  await connected(page);
  await type(page, "yes the-quick-brown-fox");
  await shown(page, /the-quick-brown-fox/);
  const { session } = await kept(page);
  const written = async () => {
    const sessions = await (await fetch(`${CALLBOARD_TERMINAL}/api/v1/terminal/sessions`)).json();
    return sessions.find(({ id }) => id === session).output_bytes;
  };
  while ((await written()) < 5_000_000) await page.evaluate(() => new Promise(requestAnimationFrame));
  await page.keyboard.press("Control+c");
  await type(page, "echo a$((20 + 1))b");
  await shown(page, /a21b/);
});

test("what a program writes does not reach the clipboard, the title as it likes, or its own input", async (t) => {
  const { page } = await open(t);
  await connected(page);
  await page.evaluate(() => navigator.clipboard.writeText("mine"));
  await type(page, "printf '\\033]52;c;c3RvbGVu\\007'; echo c$((1))");
  await shown(page, /c1/);
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "mine");
  await type(page, `printf '\\033]2;ti\\342\\200\\256tle ${"x".repeat(100)}\\007'; echo t$((1))`);
  await shown(page, /t1/);
  assert.equal(await page.title(), `title ${"x".repeat(74)} - Callboard`);
  // What is asked for would come as input, and be shown by cat.
  await type(
    page,
    "clear; stty raw; printf '\\033]10;?\\007\\033]11;?\\007\\033]4;1;?\\007'; echo q$((1)); dd bs=1 count=1 2>/dev/null | od -An -c; stty sane",
  );
  await shown(page, /q1/);
  await page.keyboard.press("z");
  await shown(page, /\bz\b/);
});

test("several lines are pasted only after a warning", async (t) => {
  const { page } = await open(t);
  await connected(page);
  const paste = async (text) => {
    await page.evaluate((text) => navigator.clipboard.writeText(text), text);
    await page.keyboard.press("Control+Shift+v");
  };
  await paste("echo p$((1))a");
  await page.keyboard.press("Enter");
  await shown(page, /p1a/);
  const dialog = page.getByRole("dialog");
  await paste("echo p$((1))b\necho p$((1))c\n");
  await dialog.waitFor();
  await shot(page, "paste");
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
  await paste("echo p$((1))d\necho p$((1))e\n");
  await dialog.getByRole("button", { name: "Paste", exact: true }).click();
  await shown(page, /p1d[\s\S]*p1e/);
  assert.doesNotMatch(await page.locator(".xterm-rows").innerText(), /p1b|p1c/);
});

test("without a socket there are numbers, and another try", async (t) => {
  const { page } = await open(t, "?test_mode=fail");
  await page.getByText("The server cannot be reached by a WebSocket.").waitFor();
  await page.getByText(/The next try is in \d+ s/).waitFor();
  await page.getByText("There are no jobs.").waitFor();
  assert.match(await page.locator("#numbers").innerText(), /Finished\s+0/);
  await shot(page, "fallback");
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run());
  assert.deepEqual(
    violations.map(({ id }) => id),
    [],
  );
  const tried = page.waitForRequest(/terminal\/tickets/);
  await page.getByRole("button", { name: "Try now" }).click();
  await tried;
  await page.getByText(/The next try is in \d+ s/).waitFor();
  // It is tried by itself, too.
  await page.waitForRequest(/terminal\/tickets/, { timeout: 30_000 });
  await page.goto(`${CALLBOARD_TERMINAL}/terminal?test_mode=delay:300`);
  await connected(page);
});

test("the end of the program is said, and another session is one key away", async (t) => {
  const { page } = await open(t);
  await connected(page);
  const first = await kept(page);
  await type(page, "exit 3");
  await page.getByText("The program has ended: exit status 3.").waitFor();
  await shot(page, "ended");
  await page.keyboard.press("Enter");
  await connected(page);
  assert.notEqual((await kept(page)).session, first.session);
});
