// Puts the last of the pages in place: the viewer of /docs out of its locked package, and beside each file its compressed forms,
// so that the server never compresses. Then it checks how much the first view loads. Nothing is fetched.
import { cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { extname } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";

/** Bytes that the first view may load, compressed as a browser asks for it. */
const FIRST_VIEW = 200 * 1000;

const here = new URL("../", import.meta.url);
const dist = new URL("dist/", here);
const viewer = new URL("node_modules/swagger-ui-dist/", here);

const files = {
  "swagger-ui-bundle.js": "swagger-ui-bundle.js",
  "swagger-ui.css": "swagger-ui.css",
  "favicon-32x32.png": "favicon-32x32.png",
  // What the licences of the viewer and of what is in it want to go with it.
  LICENSE: "swagger-ui.LICENSE.txt",
  NOTICE: "swagger-ui.NOTICE.txt",
  "swagger-ui-bundle.js.LICENSE.txt": "swagger-ui-bundle.js.LICENSE.txt",
};
await mkdir(new URL("docs/", dist), { recursive: true });
await cp(new URL("docs/", here), new URL("docs/", dist), { recursive: true });
for (const [from, to] of Object.entries(files)) {
  await cp(new URL(from, viewer), new URL(`docs/${to}`, dist));
}

const best = { params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY } };
const sizes = new Map();
for (const folder of ["", "assets/", "docs/"]) {
  for (const entry of await readdir(new URL(folder, dist), { withFileTypes: true })) {
    if (!entry.isFile() || entry.name.startsWith(".") || extname(entry.name) === ".png") continue;
    const name = folder + entry.name;
    const bytes = await readFile(new URL(name, dist));
    const [small, smaller] = await Promise.all([promisify(gzip)(bytes, { level: 9 }), promisify(brotliCompress)(bytes, best)]);
    await writeFile(new URL(`${name}.gz`, dist), small);
    await writeFile(new URL(`${name}.br`, dist), smaller);
    sizes.set(name, { plain: bytes.length, gzip: small.length, brotli: smaller.length });
  }
}

// What index.html names is loaded before anything is shown.
const page = await readFile(new URL("index.html", dist), "utf8");
const named = [...page.matchAll(/(?:src|href)="\/ui\/([^"]+)"/g)].map((match) => match[1]);
const loaded = ["index.html", ...new Set(named)].map((name) => [name, sizes.get(name)]);
const total = (form) => loaded.reduce((sum, [, size]) => sum + size[form], 0);
for (const [name, size] of loaded) console.log(`${String(size.gzip).padStart(8)} ${String(size.brotli).padStart(8)}  ${name}`);
console.log(
  `${String(total("gzip")).padStart(8)} ${String(total("brotli")).padStart(8)}  the first view: bytes by gzip, by brotli`,
);
if (total("gzip") > FIRST_VIEW) {
  console.error(`the first view loads ${total("gzip")} bytes compressed; ${FIRST_VIEW} are allowed`);
  process.exit(1);
}
