import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const place = (path) => fileURLToPath(new URL(path, import.meta.url));
// A server to try the pages against while they are made: npm run dev.
const server = process.env.CALLBOARD ?? "http://127.0.0.1:8080";

export default defineConfig({
  // Every file of the pages is below this path, also those of /terminal.
  base: "/ui/",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    target: "es2022",
    // It has a file that stays; scripts/clear.mjs takes the rest away.
    emptyOutDir: false,
    // A file that stands in the page as data: would be one that the policy has to allow.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: { input: { index: place("index.html"), terminal: place("terminal.html") } },
  },
  server: {
    proxy: Object.fromEntries(
      ["/api", "/proxy", "/openapi.json", "/docs", "/ws"].map((path) => [path, { target: server, ws: path === "/ws" }]),
    ),
  },
});
