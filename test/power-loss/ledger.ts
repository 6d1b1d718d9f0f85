import type { Asked, Ran, Said } from "./said.js";

/** What was acknowledged about one ID, and what was asked for and not yet answered. */
export interface Known {
  readonly id: string;
  /** Whether the last start or purge that was acknowledged was a start. */
  started: boolean;
  run: number;
  /** The highest fencing token that anybody was given. */
  token: number;
  /** Events of this run, in order of acceptance. */
  raised: number[];
  suspended: boolean;
  ended: { readonly status: string; readonly output: unknown } | undefined;
  ran: Ran[];
  open: Asked["for"] | undefined;
}

/** What the world outside the engine knew at a moment. */
export class Ledger {
  readonly #known = new Map<string, Known>();

  get ids(): readonly Known[] {
    return [...this.#known.values()];
  }

  enter(said: Said): void {
    const known = this.#of(said.id);
    if (said.say === "asked") {
      known.open = said.for;
      if (said.for === "purge") known.ran = [];
      return;
    }
    if ("token" in said) known.token = Math.max(known.token, said.token);
    if (said.say === "ran") {
      known.ran.push(said);
      return;
    }
    known.open = undefined;
    switch (said.say) {
      case "started":
        Object.assign(known, {
          started: true,
          run: said.run,
          raised: [],
          suspended: false,
          ended: undefined,
        });
        break;
      case "raised":
        known.raised.push(said.value);
        break;
      case "suspended":
        known.suspended = true;
        break;
      case "resumed":
        known.suspended = false;
        break;
      case "ended":
        known.ended = { status: said.status, output: said.output };
        break;
      case "purged":
        Object.assign(known, { started: false, ended: undefined });
        break;
    }
  }

  #of(id: string): Known {
    const known = this.#known.get(id) ?? {
      id,
      started: false,
      run: 0,
      token: 0,
      raised: [],
      suspended: false,
      ended: undefined,
      ran: [],
      open: undefined,
    };
    this.#known.set(id, known);
    return known;
  }
}
