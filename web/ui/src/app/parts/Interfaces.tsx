// The web interfaces that are registered here.
import { get, Problem } from "../api/client";
import type { Interface } from "../api/types";
import { useLoaded } from "../core/load";
import { Trouble } from "./basic";
import { Dialog } from "./Dialog";

/** What this server has, should it not say. */
const OWN: Interface[] = [
  { name: "pages", url: "/ui/", about: "These pages" },
  { name: "docs", url: "/docs", about: "The HTTP interface" },
];

export function Interfaces({ close }: { close: () => void }) {
  const { state } = useLoaded("interfaces", async (signal) => {
    try {
      return await get<Interface[]>("/api/v1/interfaces", signal);
    } catch (error) {
      if (error instanceof Problem && error.status === 404) return OWN;
      throw error;
    }
  });
  const { value, problem } = state.value;
  return (
    <Dialog title="Web interfaces" close={close}>
      <div class="dialog-body">
        {problem && <Trouble text={problem} />}
        <ul class="links">
          {value?.map((one) => (
            <li key={one.name}>
              <a href={one.url} rel="noreferrer">
                {one.name}
              </a>
              <span class="faint">{one.about ?? one.url}</span>
            </li>
          ))}
        </ul>
        <p class="faint">Further ones are registered by settings: interfaces.NAME = "https://…"</p>
      </div>
    </Dialog>
  );
}
