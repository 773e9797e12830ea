// What a view asks for by itself, beside what the live feed says.
import { type ReadonlySignal, signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { pause } from "../api/sse";
import { visible } from "./clock";
import { reason } from "./toasts";

export interface Loaded<T> {
  value: T | null;
  /** Why it could not be loaded when it was tried last; what was loaded before stays. */
  problem: string | null;
  loading: boolean;
}

/** Counts how often everything was asked for anew (`R`). */
export const reloads = signal(0);

/**
 * Loads something while the component is there: at once, whenever the key is another one, and again and again if `every` says so
 * and somebody looks.
 */
export function useLoaded<T>(
  key: string,
  load: (signal: AbortSignal) => Promise<T>,
  every?: number,
): { state: ReadonlySignal<Loaded<T>>; reload: () => void } {
  const state = useSignal<Loaded<T>>({ value: null, problem: null, loading: true });
  const turn = useSignal(0);
  const shown = useRef(key);
  const seen = visible.value;
  const { value: turns } = turn;
  const { value: asked } = reloads;
  // Turns and asked are why it loads again.
  useEffect(() => {
    if (shown.current !== key) {
      shown.current = key;
      state.value = { value: null, problem: null, loading: true };
    }
    const controller = new AbortController();
    const work = async () => {
      do {
        try {
          const value = await load(controller.signal);
          if (controller.signal.aborted) return;
          state.value = { value, problem: null, loading: false };
        } catch (error) {
          if (controller.signal.aborted) return;
          state.value = { value: state.peek().value, problem: reason(error), loading: false };
        }
        if (every) await pause(every, controller.signal);
      } while (every && !controller.signal.aborted);
    };
    if (seen || state.peek().value === null) work();
    return () => controller.abort();
  }, [key, seen, turns, asked]);
  return {
    state,
    reload: () => {
      turn.value++;
    },
  };
}
