// The keys: the very table that they are looked up in.
import { allGroups, keyName, possible } from "../core/keys";
import { Dialog } from "./Dialog";

export function Help({ close }: { close: () => void }) {
  return (
    <Dialog title="Keys" close={close} class="wide-dialog">
      <div class="dialog-body help" tabIndex={0}>
        {allGroups.value
          .map((group) => ({
            ...group,
            commands: group.commands.filter((command) => command.keys?.length && possible(command)),
          }))
          .filter((group) => group.commands.length > 0)
          .map((group) => (
            <section key={group.title}>
              <h3>{group.title}</h3>
              <dl>
                {group.commands.map((command) => (
                  <div key={command.name}>
                    <dt>
                      {command.keys?.map((key) => (
                        <kbd key={key}>{keyName(key)}</kbd>
                      ))}
                    </dt>
                    <dd>{command.title}</dd>
                  </div>
                ))}
              </dl>
            </section>
          ))}
      </div>
    </Dialog>
  );
}
