// Everything that can be done now, found by its name.
import { useState } from "preact/hooks";
import { allGroups, type Command, keyName, possible } from "../core/keys";
import { go, href } from "../core/router";
import { Dialog } from "./Dialog";

const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function Palette({ close }: { close: () => void }) {
  const [typed, setTyped] = useState("");
  const [place, setPlace] = useState(0);
  const found = search(typed.trim().toLowerCase());
  const chosen = found[Math.min(place, found.length - 1)];
  const run = (command: Command | undefined) => {
    if (!command) return;
    close();
    // The box gives the focus back first.
    setTimeout(command.run);
  };
  const keyed = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      setPlace(Math.max(0, Math.min(found.length - 1, place + step)));
    } else if (event.key === "Enter") {
      event.preventDefault();
      run(chosen);
    }
  };
  return (
    <Dialog title="Commands" close={close}>
      <div class="palette">
        <input
          role="combobox"
          aria-expanded="true"
          aria-controls="commands"
          aria-activedescendant={chosen ? `command-${found.indexOf(chosen)}` : undefined}
          aria-label="A command, a view, or the id of a job"
          placeholder="A command, a view, or the id of a job"
          value={typed}
          autofocus
          onInput={(event) => {
            setTyped(event.currentTarget.value);
            setPlace(0);
          }}
          onKeyDown={keyed}
        />
        <ul id="commands" role="listbox" aria-label="Commands">
          {found.map((command, index) => (
            <li
              key={command.title}
              id={`command-${index}`}
              role="option"
              tabIndex={-1}
              aria-selected={command === chosen}
              onClick={() => run(command)}
            >
              <span>
                <strong>{command.name}</strong> <span class="faint">{command.title}</span>
              </span>
              {command.keys?.[0] && <kbd>{keyName(command.keys[0])}</kbd>}
            </li>
          ))}
        </ul>
        {found.length === 0 && <p class="empty">Nothing is called so</p>}
      </div>
    </Dialog>
  );
}

function search(typed: string): Command[] {
  if (ID.test(typed)) {
    return [
      { name: "job", title: typed, run: () => go(href(`/jobs/${typed}`)) },
      { name: "workflow", title: `${typed} `, run: () => go(href(`/workflows/${typed}`)) },
    ];
  }
  const all = [...allGroups.value]
    .reverse()
    .flatMap((group) => group.commands)
    .filter(possible);
  const rank = (command: Command) => {
    const names = [command.name, ...(command.aliases ?? [])];
    if (names.some((name) => name === typed)) return 0;
    if (names.some((name) => name.startsWith(typed))) return 1;
    if (names.some((name) => name.includes(typed))) return 2;
    return command.title.toLowerCase().includes(typed) ? 3 : 4;
  };
  return all
    .map((command) => ({ command, rank: rank(command) }))
    .filter(({ rank }) => rank < 4)
    .sort((left, right) => left.rank - right.rank)
    .map(({ command }) => command)
    .slice(0, 30);
}
