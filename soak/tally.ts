import type { FromEngine, Job, Life } from "./messages.js";

/** Who was promised what, kept outside the process that may be killed. */
export class Tally {
  readonly #open = new Map<string, { readonly job: Job; readonly accepted: boolean }>();
  /** How many of each kind have ended as they should. */
  readonly kept = new Map<string, number>();
  /** Starts that a kill came before. */
  neverBegan = 0;
  readonly broken: string[] = [];

  get open(): Life["open"] {
    return [...this.#open.values()];
  }

  note(message: FromEngine): void {
    switch (message.kind) {
      case "asking":
        this.#open.set(message.job.id, { job: message.job, accepted: false });
        return;
      case "accepted": {
        const asked = this.#open.get(message.id);
        if (asked !== undefined) this.#open.set(message.id, { ...asked, accepted: true });
        return;
      }
      case "neverBegan":
        this.neverBegan += 1;
        this.#open.delete(message.id);
        return;
      case "ended":
        this.#end(message);
        return;
      case "broken":
        this.broken.push(message.promise);
        return;
      case "sample":
      case "finished":
        return;
    }
  }

  #end({ id, status, output }: FromEngine & { readonly kind: "ended" }): void {
    const { job } = this.#open.get(id) ?? {};
    if (job === undefined) {
      this.broken.push(`${id} ended, and nobody asked for it`);
      return;
    }
    this.#open.delete(id);
    const isRight = status === job.status && (job.output === undefined || job.output === output);
    if (isRight) this.kept.set(job.kind, (this.kept.get(job.kind) ?? 0) + 1);
    else {
      const wanted = `${job.status} ${job.output ?? ""}`.trim();
      this.broken.push(`${id} is ${status} ${JSON.stringify(output)} instead of ${wanted}`);
    }
  }
}
