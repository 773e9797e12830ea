// Says who looks, where the server wants to know.
import { useState } from "preact/hooks";
import { go, href, query } from "../core/router";
import { signIn } from "../core/session";
import { reason } from "../core/toasts";

export function SignInPage() {
  const [token, setToken] = useState("");
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      await signIn(token.trim());
      const next = query("next");
      // Only places of these pages: an address of somebody else is none of ours.
      go(next.startsWith("/ui/") ? next : href("/"), true);
    } catch (error) {
      setProblem(reason(error));
      setBusy(false);
    }
  };
  return (
    <main class="sign-in" id="main" tabIndex={-1}>
      <form class="panel" onSubmit={submit}>
        <h1>Callboard</h1>
        <p>This server wants to know who looks. Sign in with a token that its settings name.</p>
        {/* A password manager keeps it by the name of the server. */}
        <input
          class="heard"
          type="text"
          name="username"
          autoComplete="username"
          value={location.host}
          readOnly
          tabIndex={-1}
          aria-hidden="true"
        />
        <label class="field">
          <span>Token</span>
          <input
            type="password"
            name="token"
            autoComplete="current-password"
            required
            autofocus
            value={token}
            aria-invalid={problem ? true : undefined}
            aria-describedby="sign-in-said"
            onInput={(event) => setToken(event.currentTarget.value)}
          />
        </label>
        <p id="sign-in-said" class="wrong" role="alert">
          {problem}
        </p>
        <button type="submit" class="primary" disabled={busy || token.trim() === ""}>
          Sign in
        </button>
      </form>
    </main>
  );
}
