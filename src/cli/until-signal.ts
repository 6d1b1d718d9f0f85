/** What asked a server to end. SIGHUP comes when its terminal is closed. */
export type EndSignal = "SIGINT" | "SIGTERM" | "SIGHUP";

/**
 * A Ctrl-C reaches npm as well as us, and npm passes it on: within this time it is the same one.
 */
const SAME_SIGNAL_MS = 500;

/**
 * Resolves at the first signal that asks this process to end. A later one is impatience, and ends
 * the process at once with `codeOf`.
 */
export function untilSignal(codeOf: (signal: EndSignal) => number): Promise<EndSignal> {
  return new Promise((resolve) => {
    let firstAtMs: number | undefined;
    const onSignal = (signal: EndSignal): void => {
      if (firstAtMs === undefined) {
        firstAtMs = performance.now();
        resolve(signal);
      } else if (performance.now() - firstAtMs > SAME_SIGNAL_MS) {
        process.exit(codeOf(signal));
      }
    };
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onSignal);
  });
}
