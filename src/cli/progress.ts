import { say } from "./output.js";
import { isTerminal } from "./style.js";

/** How often a count is shown: on a terminal, where it replaces the one before, and elsewhere, a line each. */
const TERMINAL_MS = 200;
const LINE_MS = 10_000;

/** Says on stderr how far something is that takes long. Nothing at all about what is done at once. */
export class Progress implements Disposable {
  readonly #sentence: (count: number) => string;
  readonly #everyMs = isTerminal(process.stderr) ? TERMINAL_MS : LINE_MS;
  #nextMs = performance.now() + this.#everyMs;
  #shown = false;

  constructor(sentence: (count: number) => string) {
    this.#sentence = sentence;
  }

  show(count: number): void {
    if (performance.now() < this.#nextMs) return;
    this.#nextMs = performance.now() + this.#everyMs;
    if (isTerminal(process.stderr)) {
      process.stderr.write(`\r\u001b[K${this.#sentence(count)}`);
      this.#shown = true;
    } else {
      say(this.#sentence(count));
    }
  }

  /** Clears the line for what comes next. */
  [Symbol.dispose](): void {
    if (this.#shown) process.stderr.write("\r\u001b[K");
    this.#shown = false;
  }
}
