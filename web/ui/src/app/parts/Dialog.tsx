// Boxes in front of the page. The browser keeps the focus in them and closes them by Esc.
import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { reason } from "../core/toasts";

interface DialogProps {
  title: string;
  close: () => void;
  children: ComponentChildren;
  class?: string;
}

export function Dialog({ title, close, children, class: kind }: DialogProps) {
  const box = useRef<HTMLDialogElement>(null);
  // At once: what is typed right behind the key that opened it is for the box.
  useLayoutEffect(() => {
    const before = document.activeElement;
    box.current?.showModal();
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    };
  }, []);
  return (
    <dialog
      ref={box}
      class={kind}
      aria-label={title}
      onClose={close}
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
      // Beside the box is the dialog itself.
      onClick={(event) => event.target === box.current && close()}
      onKeyDown={(event) => event.key === "Escape" && event.stopPropagation()}
    >
      <div class="dialog">
        <header class="dialog-head">
          <h2>{title}</h2>
          <button type="button" class="small quiet" onClick={close} aria-label="Esc: close">
            <kbd>Esc</kbd>
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}

export interface Question {
  title: string;
  text: ComponentChildren;
  /** What the button says. */
  yes: string;
  danger?: boolean;
  /** Whether a reason can be given. */
  reason?: boolean;
  /** The word that has to be typed first. */
  typed?: string;
  run: (reason: string) => Promise<void>;
}

const asked = signal<Question | null>(null);

/** Asks before something is done. */
export function ask(question: Question): void {
  asked.value = question;
}

/** Where questions are shown. */
export function Questions() {
  const question = asked.value;
  if (!question) return null;
  return <Ask key={question.title} question={question} close={() => (asked.value = null)} />;
}

function Ask({ question, close }: { question: Question; close: () => void }) {
  const [why, setWhy] = useState("");
  const [typed, setTyped] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await question.run(why.trim());
      close();
    } catch (error) {
      setProblem(reason(error));
      setBusy(false);
    }
  };
  return (
    <Dialog title={question.title} close={close}>
      <form onSubmit={submit}>
        <div class="dialog-body">
          {typeof question.text === "string" ? <p>{question.text}</p> : question.text}
          {question.reason && (
            <label class="field">
              <span>Why (shown to others; may stay empty)</span>
              <input value={why} maxLength={500} onInput={(event) => setWhy(event.currentTarget.value)} />
            </label>
          )}
          {question.typed && (
            <label class="field">
              <span>
                Type <strong>{question.typed}</strong> to go on
              </span>
              <input value={typed} autoComplete="off" onInput={(event) => setTyped(event.currentTarget.value)} />
            </label>
          )}
          {problem && (
            <p class="trouble" role="alert">
              {problem}
            </p>
          )}
        </div>
        <footer class="dialog-foot">
          <button type="button" onClick={close}>
            Leave it
          </button>
          <button
            type="submit"
            class={question.danger ? "danger" : "primary"}
            autofocus={!question.reason && !question.typed}
            disabled={busy || (question.typed !== undefined && typed !== question.typed)}
          >
            {question.yes}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
