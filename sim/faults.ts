import type { Random } from "./random.js";

/** What can go wrong at a call of the store. */
export type CallFault =
  /** 40001 and the like: nothing was written, try again. */
  | "conflict"
  /** The store is not there: nothing was written. */
  | "lost call"
  /** It was carried out, and the caller is told that it was not served. */
  | "lost reply"
  /** The process dies with the call, or right after it took effect. */
  | "crash before"
  | "crash after"
  /** On its way for longer than any lease, whatever has become of its sender meanwhile. */
  | "held call"
  | "held reply"
  /** A commit that was sent twice arrives a second time, later. */
  | "duplicate"
  /** The process stands still for longer than its lease, as by SIGSTOP. */
  | "pause"
  /** The process's wall clock is set. */
  | "clock"
  /** The worker's lease ends, which it learns later: others take its shards while it still works on them. */
  | "lease ended"
  /** The store ends, and with it every call and answer that is under way; it begins anew, and serves nobody for a while, */
  | "store down"
  /** or serves reads only. */
  | "disk full";

/** What can go wrong with a hint. */
export type HintFault = "hint lost" | "hint twice" | "hint late";

/** What can go wrong with messages: their numbers were drawn long before their transaction has committed. */
export type MessageFault = "late message";

export type FaultKind = CallFault | HintFault | MessageFault;

const CALL_FAULTS: readonly CallFault[] = [
  "conflict",
  "lost call",
  "lost reply",
  "crash before",
  "crash after",
  "held call",
  "held reply",
  "duplicate",
  "pause",
  "clock",
  "lease ended",
  "store down",
  "disk full",
];
const HINT_FAULTS: readonly HintFault[] = ["hint lost", "hint twice", "hint late"];
const MESSAGE_FAULTS: readonly MessageFault[] = ["late message"];

export function isCallFault(kind: FaultKind): kind is CallFault {
  return CALL_FAULTS.some((each) => each === kind);
}

/** Whether a fault struck a call or a process: hints that went astray and late messages alone show nothing. */
export function hasBitten(bit: ReadonlyMap<FaultKind, number>): boolean {
  return CALL_FAULTS.some((kind) => bit.has(kind));
}

/** A fault that strikes now. */
export interface Fault<K extends FaultKind = CallFault> {
  readonly kind: K;
  /** For how long, where that is not drawn. */
  readonly forMs?: number;
}

/** A call of the store that a fault may strike. */
export interface Struck {
  readonly process: string;
  readonly label: string;
  /** What goes wrong, of what can: */
  readonly can: (kind: CallFault) => boolean;
  /** the more is at stake, the likelier something. */
  readonly stake: number;
}

/** Says what goes wrong. */
export interface Faults {
  /** How often each kind of fault bit. */
  readonly bit: ReadonlyMap<FaultKind, number>;
  /** How many faults were drawn, those left out among them. */
  readonly drawn: number;
  /** What was to go wrong and did not. */
  readonly missed: readonly string[];
  /** From now on nothing goes wrong. */
  heal(): void;
  atCall(struck: Struck, nowMs: number): Fault | undefined;
  atHint(): HintFault | undefined;
  /** A call has sent messages. */
  atMessages(by: Pick<Struck, "process" | "label">, nowMs: number): Fault<MessageFault> | undefined;
}

/** How many calls and processes are struck in a schedule at most: it must get somewhere. */
const MAX_STRUCK = 24;

/** How many hints and messages go astray, besides. */
const MAX_ASTRAY = 24;

/** How likely a fault is, drawn for each kind and schedule. */
const RATES = [0, 0, 0.002, 0.01, 0.04] as const;

/** The same of messages, of which there are few: mostly one late one alone does nothing. */
const LATE_RATES = [0, 0.2, 0.6] as const;

/**
 * Draws faults. Each question draws once, whatever the answer, so that leaving one fault out does not shift the
 * others: a failing schedule is made smaller by leaving out faults, by number.
 */
export class DrawnFaults implements Faults {
  readonly #random: Random;
  readonly #without: ReadonlySet<number>;
  readonly #rates = new Map<FaultKind, number>();
  readonly #bit = new Map<FaultKind, number>();
  readonly missed = [];
  #drawn = 0;
  #struck = 0;
  #astray = 0;
  #on = true;

  constructor(random: Random, without: ReadonlySet<number> = new Set()) {
    this.#random = random;
    this.#without = without;
    for (const kind of [...CALL_FAULTS, ...HINT_FAULTS]) this.#rates.set(kind, random.pick(RATES));
    for (const kind of MESSAGE_FAULTS) this.#rates.set(kind, random.pick(LATE_RATES));
  }

  get bit(): ReadonlyMap<FaultKind, number> {
    return this.#bit;
  }

  get drawn(): number {
    return this.#drawn;
  }

  heal(): void {
    this.#on = false;
  }

  atCall({ can, stake }: Struck): Fault | undefined {
    const kind = this.#draw(CALL_FAULTS, (each) => this.#struck < MAX_STRUCK && can(each), stake);
    if (kind === undefined) return undefined;
    this.#struck += 1;
    return this.#bite(kind);
  }

  atHint(): HintFault | undefined {
    return this.#strayed(HINT_FAULTS)?.kind;
  }

  atMessages(): Fault<MessageFault> | undefined {
    return this.#strayed(MESSAGE_FAULTS);
  }

  #strayed<K extends FaultKind>(kinds: readonly K[]): Fault<K> | undefined {
    const kind = this.#draw(kinds, () => this.#astray < MAX_ASTRAY, 1);
    if (kind === undefined) return undefined;
    this.#astray += 1;
    return this.#bite(kind);
  }

  #draw<K extends FaultKind>(kinds: readonly K[], can: (kind: K) => boolean, stake: number): K | undefined {
    let rest = this.#random.next() / stake;
    for (const kind of kinds) {
      rest -= this.#rates.get(kind) ?? 0;
      if (rest < 0) return this.#on && can(kind) ? kind : undefined;
    }
    return undefined;
  }

  /** It was drawn; it bites unless it is left out. */
  #bite<K extends FaultKind>(kind: K): Fault<K> | undefined {
    if (this.#without.has(this.#drawn++)) return undefined;
    this.#bit.set(kind, (this.#bit.get(kind) ?? 0) + 1);
    return { kind };
  }
}
