// The time, once a second for all who show how long something is ago. It stands still while nobody looks.
import { signal } from "@preact/signals";

/** Milliseconds since 1970. */
export const now = signal(Date.now());
/** Whether somebody looks at the page. */
export const visible = signal(document.visibilityState === "visible");

document.addEventListener("visibilitychange", () => {
  visible.value = document.visibilityState === "visible";
  if (visible.value) now.value = Date.now();
});
setInterval(() => {
  if (visible.value) now.value = Date.now();
}, 1000);
