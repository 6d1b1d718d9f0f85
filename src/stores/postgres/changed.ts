/** The instances of which a write changed what users see. */
export class Changed {
  readonly #ended = new Map<string, boolean>();

  /** @param ended whether a run of it may have ended with it. */
  add(instanceId: string, ended: boolean): void {
    if (ended || !this.#ended.has(instanceId)) this.#ended.set(instanceId, ended);
  }

  /** All of them. */
  get instanceIds(): string[] {
    return [...this.#ended.keys()];
  }

  /** Those of which no run has ended. */
  get alive(): string[] {
    return [...this.#ended].flatMap(([instanceId, ended]) => (ended ? [] : [instanceId]));
  }
}
