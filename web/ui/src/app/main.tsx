import { render } from "preact";
import { listenForKeys } from "./core/keys";
import { startTheme } from "./core/memory";
import { listen } from "./core/router";
import { recognise } from "./core/session";
import { startFeed } from "./live/feed";
import { Shell } from "./parts/Shell";

startTheme();
listen();
listenForKeys();
recognise().finally(startFeed);

const place = document.getElementById("app");
if (place) render(<Shell />, place);
