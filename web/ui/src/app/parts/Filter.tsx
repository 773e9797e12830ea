// The field behind `/`.
import { useEffect, useState } from "preact/hooks";
import { FilterError, type Node, parseFilter } from "../core/filter";
import { query, setQuery } from "../core/router";

const SETTLED = 250;

/** What the address says to filter by; `problem` if it cannot be understood. */
export function useFilter(fields: readonly string[]): { node: Node; text: string; problem: string | null } {
  const text = query("q");
  try {
    return { node: parseFilter(text, fields), text, problem: null };
  } catch (error) {
    if (!(error instanceof FilterError)) throw error;
    return { node: { is: "all" }, text, problem: `letter ${error.at + 1}: ${error.message}` };
  }
}

interface FilterFieldProps {
  label: string;
  hint: string;
  problem: string | null;
}

export function FilterField({ label, hint, problem }: FilterFieldProps) {
  const text = query("q");
  const [typed, setTyped] = useState(text);
  const [settled, setSettled] = useState(text);
  // Somebody went to another address.
  if (text !== settled) {
    setSettled(text);
    setTyped(text);
  }
  useEffect(() => {
    if (typed === settled) return;
    const timer = setTimeout(() => {
      setSettled(typed);
      setQuery({ q: typed });
    }, SETTLED);
    return () => clearTimeout(timer);
  }, [typed, settled]);
  const now = () => {
    setSettled(typed);
    setQuery({ q: typed });
  };
  return (
    <div class="filter">
      <input
        type="search"
        data-filter
        aria-label={label}
        aria-invalid={problem ? true : undefined}
        aria-describedby="filter-said"
        placeholder={hint}
        value={typed}
        spellcheck={false}
        autoComplete="off"
        onInput={(event) => setTyped(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter") {
            now();
            event.currentTarget.blur();
          }
        }}
      />
      <p id="filter-said" class="wrong" role="status">
        {problem}
      </p>
    </div>
  );
}
