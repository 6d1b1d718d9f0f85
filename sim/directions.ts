import {
  type CallFault,
  type Fault,
  type FaultKind,
  type Faults,
  isCallFault,
  type MessageFault,
  type Struck,
} from "./faults.js";

/** Something that goes wrong at a certain call of the store. */
export interface Direction {
  /** What the call says of itself, or how that begins. */
  readonly call: string;
  /** Whose call it is. Absent: anybody's. */
  readonly of?: string;
  /** Calls that come before this are not meant. */
  readonly fromMs?: number;
  readonly fault: CallFault | MessageFault;
  readonly forMs?: number;
  /** How many calls, one after the other: 1, where nothing is said. */
  readonly times?: number;
}

/** Faults that are not drawn but written down: each strikes the first calls that it fits. */
export class DirectedFaults implements Faults {
  readonly bit = new Map<FaultKind, number>();
  readonly drawn = 0;
  /** How many calls each has still to strike. */
  readonly #left: Map<Direction, number>;
  #healed = false;

  constructor(directions: readonly Direction[]) {
    this.#left = new Map(directions.map((direction) => [direction, direction.times ?? 1]));
  }

  /** One that strikes several has bitten with the first. */
  get missed(): readonly string[] {
    return [...this.#left]
      .filter(([{ times = 1 }, left]) => left === times)
      .map(([{ fault, call }]) => `${fault} at "${call}"`);
  }

  heal(): void {
    this.#healed = true;
  }

  atCall({ process, label, can }: Struck, nowMs: number): Fault | undefined {
    return this.#strike(
      { process, label },
      nowMs,
      (kind): kind is CallFault => isCallFault(kind) && can(kind),
    );
  }

  atHint(): undefined {
    return undefined;
  }

  atMessages(by: Pick<Struck, "process" | "label">, nowMs: number): Fault<MessageFault> | undefined {
    return this.#strike(by, nowMs, (kind): kind is MessageFault => kind === "late message");
  }

  #strike<K extends FaultKind>(
    { process, label }: Pick<Struck, "process" | "label">,
    nowMs: number,
    can: (kind: FaultKind) => kind is K,
  ): Fault<K> | undefined {
    if (this.#healed) return undefined;
    for (const [direction, left] of this.#left) {
      const { call, of = process, fromMs = 0, fault: kind, forMs } = direction;
      if (left === 0 || of !== process || nowMs < fromMs || !label.startsWith(call) || !can(kind)) continue;
      this.#left.set(direction, left - 1);
      this.bit.set(kind, (this.bit.get(kind) ?? 0) + 1);
      return forMs === undefined ? { kind } : { kind, forMs };
    }
    return undefined;
  }
}
