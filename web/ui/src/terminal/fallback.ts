// What is shown while the socket cannot be had: numbers, recent jobs, and when it is tried again.

/** Seconds between two tries. */
const RETRY = 20;

interface Recent {
  id: string;
  type: string;
  status: string;
  createdAt: string;
}

const find = (id: string) => document.getElementById(id) as HTMLElement;

async function get<T>(path: string): Promise<T | null> {
  try {
    const answer = await fetch(path, { headers: { Accept: "application/json" } });
    return answer.ok ? ((await answer.json()) as T) : null;
  } catch {
    return null;
  }
}

function row(cells: string[]): HTMLTableRowElement {
  const line = document.createElement("tr");
  for (const text of cells) line.insertCell().textContent = text;
  return line;
}

async function fill() {
  const [stats, recent] = await Promise.all([
    get<Record<string, number | string | null>>("/stats"),
    get<Recent[]>("/jobs/recent"),
  ]);
  const names = { totalJobs: "Finished", completedJobs: "Completed", failedJobs: "Failed", lastEventTime: "Last event" };
  find("numbers").replaceChildren(
    ...Object.entries(names).flatMap(([key, name]) => {
      const [term, value] = [document.createElement("dt"), document.createElement("dd")];
      term.textContent = name;
      value.textContent = String(stats?.[key] ?? "unknown");
      return [term, value];
    }),
  );
  const jobs = recent ?? [];
  find("recent").replaceChildren(
    ...(jobs.length > 0
      ? jobs.map((job) => row([job.type, job.status, new Date(job.createdAt).toLocaleString(), job.id]))
      : [row([recent ? "There are no jobs." : "The jobs are not known."])]),
  );
}

let ticking: ReturnType<typeof setInterval> | undefined;

/** Shows it, and tries again every 20 s. */
export function showFallback(why: string, again: () => void) {
  clearInterval(ticking);
  find("screen").hidden = true;
  find("fallback").hidden = false;
  find("why").textContent = why;
  let left = RETRY;
  const say = () => {
    find("retry").textContent = `The next try is in ${left} s.`;
  };
  const go = () => {
    clearInterval(ticking);
    find("retry").textContent = "Trying …";
    again();
  };
  say();
  ticking = setInterval(() => {
    left -= 1;
    if (left <= 0) go();
    else say();
  }, 1000);
  find("now").onclick = go;
  void fill();
}

export function hideFallback() {
  clearInterval(ticking);
  find("fallback").hidden = true;
  find("screen").hidden = false;
}
