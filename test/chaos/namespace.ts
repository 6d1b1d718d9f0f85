// A network of its own for a process: between it and this machine packets can be dropped, either way.
import { execFileSync } from "node:child_process";
import { randomBytes, randomInt } from "node:crypto";

/** Seen from the process: what it sends, what it is sent. */
export type Direction = "out" | "in";

const CHAINS: Readonly<Record<Direction, string>> = { out: "OUTPUT", in: "INPUT" };

/** A network namespace, joined to this machine by a pair of virtual cables. */
export class Namespace implements AsyncDisposable {
  /** This machine, as the process sees it. */
  readonly host: string;
  /** The process, as this machine sees it. */
  readonly address: string;
  /** Starts a program in it. */
  readonly launcher: readonly string[];
  readonly #name: string;

  private constructor(name: string, network: string) {
    this.#name = name;
    this.launcher = ["ip", "netns", "exec", name];
    this.host = `${network}.1`;
    this.address = `${network}.2`;
  }

  /** Why there can be none on this machine, where there can be none. */
  static missing(): string | undefined {
    if (process.getuid?.() !== 0) return "network namespaces need root";
    try {
      new Namespace(`tenure-${randomBytes(3).toString("hex")}`, "").#probe();
      return undefined;
    } catch (error) {
      return `network namespaces do not work here: ${error instanceof Error ? error.message : String(error)}`;
    }
  }

  static create(): Namespace {
    const id = randomBytes(3).toString("hex");
    const made = new Namespace(`tenure-${id}`, `10.${randomInt(200, 250)}.${randomInt(1, 250)}`);
    made.#create(`tn-${id}`);
    return made;
  }

  /** Drops what goes that way from now on, or so much of it. */
  drop(direction: Direction, probability = 1): void {
    const some = ["-m", "statistic", "--mode", "random", "--probability", String(probability)];
    this.#tables("-A", CHAINS[direction], ...(probability < 1 ? some : []), "-j", "DROP");
  }

  /** Lets everything through again, and counts connections from 0. */
  heal(): void {
    for (const chain of Object.values(CHAINS)) this.#tables("-F", chain);
    // Counts, and does nothing else. TCP repeats what asks for a connection: the first one from each port counts.
    const first = ["--hashlimit-upto", "1/hour", "--hashlimit-burst", "1", "--hashlimit-mode", "srcport"];
    const table = ["--hashlimit-name", this.#name, "--hashlimit-htable-expire", "3600000"];
    this.#tables("-A", "OUTPUT", "-p", "tcp", "--syn", "-m", "hashlimit", ...first, ...table);
  }

  /** How many connections were asked for since the last {@link heal}. */
  attempts(): number {
    const [, , first = ""] = this.#tables("-L", "OUTPUT", "-v", "-x", "-n").split("\n");
    return Number(first.trim().split(/\s+/)[0]);
  }

  /** How many packets were dropped since the last {@link heal}. */
  dropped(): number {
    const rules = Object.values(CHAINS).flatMap((chain) =>
      this.#tables("-L", chain, "-v", "-x", "-n")
        .split("\n")
        .map((line) => line.trim().split(/\s+/)),
    );
    return rules.reduce((sum, [packets, , target]) => sum + (target === "DROP" ? Number(packets) : 0), 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The cables go with it.
    run("ip", "netns", "del", this.#name);
  }

  #create(cable: string): void {
    run("ip", "netns", "add", this.#name);
    run("ip", "link", "add", cable, "type", "veth", "peer", "name", "far", "netns", this.#name);
    run("ip", "address", "add", `${this.host}/30`, "dev", cable);
    run("ip", "link", "set", cable, "up");
    run(...this.#inside("ip", "address", "add", `${this.address}/30`, "dev", "far"));
    run(...this.#inside("ip", "link", "set", "far", "up"));
    run(...this.#inside("ip", "link", "set", "lo", "up"));
    this.heal();
  }

  #probe(): void {
    run("ip", "netns", "add", this.#name);
    try {
      this.#tables("-L");
    } finally {
      run("ip", "netns", "del", this.#name);
    }
  }

  #tables(...args: readonly string[]): string {
    return run(...this.#inside("iptables", ...args));
  }

  #inside(...command: readonly string[]): readonly string[] {
    return [...this.launcher, ...command];
  }
}

function run(...[program = "", ...args]: readonly string[]): string {
  return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}
