import { posix } from "node:path";
import { Bytes } from "./bytes.js";
import type { Fate } from "./fate.js";
import type { Step } from "./recording.js";

/** Where the recorded hub is. Two folders above it are new: their names, too, must survive. */
export const HUB = "state/hub/hub.db";

/** The unit that a disk writes whole or not at all. */
export const SECTOR_BYTES = 512;

/** A write or a truncation that no fsync has covered yet. */
export interface Change {
  /** Its place among all steps. */
  readonly step: number;
  readonly path: string;
  readonly at: number;
  /** Absent: the file was cut to (or stretched to) `at` bytes. */
  readonly data?: Buffer;
}

/** A file, whatever it is called: its content as of the last fsync, and what came since. */
interface File {
  readonly kind: "file";
  readonly durable: Bytes;
  pending: Change[];
  /** How many of the pending ones an fsync covers that has begun. */
  covered: number;
}

interface Folder {
  readonly kind: "folder";
}

type Node = File | Folder;

/** What a path leads to: as of the last fsync of its folder, and after each change since. */
interface Name {
  durable: Node | undefined;
  pending: { readonly step: number; readonly node: Node | undefined }[];
  covered: number;
}

/** Which fsyncs come back without having done anything: by file or folder, and its place among all fsyncs. */
export type Lie = (path: string, nth: number) => boolean;

/** What is found after a power loss. */
export interface Remains {
  readonly folders: readonly string[];
  readonly files: ReadonlyMap<string, Buffer>;
  /** Writes, truncations, creations and deletions of which nothing is left. */
  readonly forgotten: number;
  /** Writes of which some sectors are left. */
  readonly torn: number;
}

/**
 * A disk with its page cache, as POSIX promises and no better: what is in a file is durable once an fsync of the file
 * has returned, what a file is called once an fsync of its folder has. Everything else may be there after a power loss or
 * not, in part or whole, whatever came before or after it.
 */
export class Disk {
  readonly #open = new Map<number, { readonly path: string; readonly node: Node }>();
  readonly #names = new Map<string, Name>();
  readonly #isLie: Lie;
  #fsyncs = 0;

  constructor(isLie: Lie = () => false) {
    this.#isLie = isLie;
    this.#names.set("", { durable: { kind: "folder" }, pending: [], covered: 0 });
  }

  take(step: Step, number: number): void {
    switch (step.kind) {
      case "opened": {
        if (step.created) this.#rename(step.path, newFile(), number);
        const node = this.#node(step.path);
        if (node === undefined) throw new Error(`${step.path} was opened, but nobody had made it`);
        this.#open.set(step.fd, { path: step.path, node });
        break;
      }
      case "wrote":
        this.#change(step.fd, { step: number, at: step.at, data: step.data });
        break;
      case "truncated":
        this.#change(step.fd, { step: number, at: step.size });
        break;
      case "syncing":
        for (const each of this.#behind(step.fd)) each.covered = each.pending.length;
        break;
      case "synced":
        if (!this.#isLie(this.#opened(step.fd).path, this.#fsyncs++)) this.#settle(step.fd);
        break;
      case "unlinked":
        this.#rename(step.path, undefined, number);
        break;
      case "madeFolder":
        this.#rename(step.path, { kind: "folder" }, number);
        break;
      case "said":
        break;
    }
  }

  /** What could be forgotten now: changes of files that have a name, or had, and of names. */
  pending(): { readonly step: number; readonly path: string }[] {
    const names = [...this.#names].flatMap(([path, { pending }]) =>
      pending.map(({ step }) => ({ step, path })),
    );
    const changes = [...this.#files()].flatMap(({ pending }) => pending);
    return [...names, ...changes].filter(({ path }) => matters(path));
  }

  /** Whether the content of this file could be forgotten in part now; without a path, whether anything could. */
  isPending(path?: string): boolean {
    const changed = [...this.#files()].flatMap(({ pending: [first] }) => first?.path ?? []);
    if (path !== undefined) return changed.includes(path);
    return (
      changed.some(matters) ||
      [...this.#names].some(([name, { pending }]) => pending.length > 0 && matters(name))
    );
  }

  /** The disk as it is found if the power fails now. */
  afterPowerLoss(fate: Fate): Remains {
    const found = new Map<string, Node>();
    let forgotten = 0;
    let torn = 0;
    for (const [path, name] of this.#names) {
      const survive = fate.names(path, name.pending);
      const node = survive === 0 ? name.durable : name.pending[survive - 1]?.node;
      if (matters(path)) forgotten += name.pending.length - survive;
      if (node !== undefined) found.set(path, node);
    }
    const isThere = (path: string): boolean => path === "" || (found.has(path) && isThere(folderOf(path)));
    const folders: string[] = [];
    const files = new Map<string, Buffer>();
    for (const [path, node] of found) {
      if (!isThere(path)) continue;
      if (node.kind === "folder") {
        folders.push(path);
        continue;
      }
      const bytes = new Bytes(node.durable.content);
      for (const change of node.pending) {
        const kept = applyPart(bytes, change, fate);
        if (!matters(path)) continue;
        if (kept === "nothing") forgotten += 1;
        if (kept === "some") torn += 1;
      }
      files.set(path, bytes.content);
    }
    return { folders: folders.toSorted(), files, forgotten, torn };
  }

  #rename(path: string, node: Node | undefined, step: number): void {
    const name = this.#names.get(path) ?? { durable: undefined, pending: [], covered: 0 };
    name.pending.push({ step, node });
    this.#names.set(path, name);
  }

  #change(fd: number, change: Omit<Change, "path">): void {
    const { path, node } = this.#opened(fd);
    if (node.kind === "file") node.pending.push({ ...change, path });
  }

  /** What an fsync of this descriptor covers: a file's changes, or the names in a folder. */
  *#behind(fd: number): Generator<File | Name> {
    const { path, node } = this.#opened(fd);
    if (node.kind === "file") yield node;
    else for (const [child, name] of this.#names) if (child !== "" && folderOf(child) === path) yield name;
  }

  #settle(fd: number): void {
    for (const each of this.#behind(fd)) {
      if ("kind" in each) {
        for (const change of each.pending.splice(0, each.covered)) apply(each.durable, change);
      } else {
        const last = each.pending.splice(0, each.covered).at(-1);
        if (last !== undefined) each.durable = last.node;
      }
      each.covered = 0;
    }
  }

  #opened(fd: number): { readonly path: string; readonly node: Node } {
    const opened = this.#open.get(fd);
    if (opened === undefined) throw new Error(`nobody opened descriptor ${fd}`);
    return opened;
  }

  #node(path: string): Node | undefined {
    const name = this.#names.get(path);
    const last = name?.pending.at(-1);
    return last === undefined ? name?.durable : last.node;
  }

  #files(): Set<File> {
    const files = new Set<File>();
    for (const { durable, pending } of this.#names.values()) {
      for (const node of [durable, ...pending.map((change) => change.node)])
        if (node?.kind === "file") files.add(node);
    }
    return files;
  }
}

/** The engine lock is rebuilt like everything else, but it holds nothing that could be lost. */
function matters(path: string): boolean {
  return !/-engine(-journal)?$/.test(path);
}

function newFile(): File {
  return { kind: "file", durable: new Bytes(), pending: [], covered: 0 };
}

/** "" for what lies in the recorded folder itself. */
function folderOf(path: string): string {
  const folder = posix.dirname(path);
  return folder === "." ? "" : folder;
}

function apply(bytes: Bytes, { at, data }: Change): void {
  if (data === undefined) bytes.truncate(at);
  else bytes.write(at, data);
}

/** Carries out as much of a change as its fate lets survive, sector by sector of the file. */
function applyPart(bytes: Bytes, change: Change, fate: Fate): "everything" | "some" | "nothing" {
  const { at, data } = change;
  const kept = fate.change(change);
  if (kept === "everything" || kept === "nothing") {
    if (kept === "everything") apply(bytes, change);
    return kept;
  }
  // A size is in one place: it is there or not.
  if (data === undefined) return "nothing";
  let survived = 0;
  let sectors = 0;
  for (let from = 0; from < data.length; ) {
    const to = Math.min(data.length, from + SECTOR_BYTES - ((at + from) % SECTOR_BYTES));
    sectors += 1;
    if (kept(sectors - 1)) {
      survived += 1;
      bytes.write(at + from, data.subarray(from, to));
    }
    from = to;
  }
  if (survived === 0) return "nothing";
  return survived === sectors ? "everything" : "some";
}
