// Puts the pages together in dist/: our own files, and those of the locked packages that they load. Nothing is fetched.
import { cp, mkdir, rm } from "node:fs/promises";

const here = new URL("./", import.meta.url);
const dist = new URL("dist/", here);
const viewer = new URL("node_modules/swagger-ui-dist/", here);

await rm(dist, { recursive: true, force: true });
await mkdir(new URL("docs/", dist), { recursive: true });
await cp(new URL("docs/", here), new URL("docs/", dist), { recursive: true });

const files = {
  "swagger-ui-bundle.js": "swagger-ui-bundle.js",
  "swagger-ui.css": "swagger-ui.css",
  "favicon-32x32.png": "favicon-32x32.png",
  // What the licences of the viewer and of what is in it want to go with it.
  "LICENSE": "swagger-ui.LICENSE.txt",
  "NOTICE": "swagger-ui.NOTICE.txt",
  "swagger-ui-bundle.js.LICENSE.txt": "swagger-ui-bundle.js.LICENSE.txt",
};
for (const [from, to] of Object.entries(files)) {
  await cp(new URL(from, viewer), new URL(`docs/${to}`, dist));
}
