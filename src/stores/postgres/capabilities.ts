/**
 * What may be used where it is there. Each only makes things faster: without them everything works by
 * conditional statements, leases and polling, as on databases that speak PostgreSQL's protocol and lack these.
 */
export interface Capabilities {
  /** LISTEN and NOTIFY: what others wrote is heard of at once. */
  readonly notify: boolean;
  /** Locks of a session: a process that is gone is known to be gone before its lease ends. */
  readonly advisoryLocks: boolean;
  /** SKIP LOCKED: who claims work does not wait for others who claim. */
  readonly skipLocked: boolean;
}

/** What is used: everything by default; through a pooling proxy nothing that lives in a session. */
export function capabilitiesOf(pooled: boolean, wished: Partial<Capabilities> = {}): Capabilities {
  return {
    notify: !pooled && wished.notify !== false,
    advisoryLocks: !pooled && wished.advisoryLocks !== false,
    skipLocked: wished.skipLocked !== false,
  };
}
