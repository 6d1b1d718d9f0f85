import assert from "node:assert/strict";
import type { ChangeHint } from "../../core/store.js";
import type { Check } from "./check.js";
import type { TestHub } from "./test-hub.js";

/** Hints: they may come late, but they come. */
export function checkHints(check: Check): void {
  check("a start is hinted, with its instance and that there are messages", async (hub) => {
    const hints = new Hints(hub);
    await hub.start("order-1");
    const hint = await hints.about("order-1");
    assert.equal(hint.messages, true);
  });

  check("events, ends and turns that show in the status are hinted", async (hub) => {
    await hub.run("order-1");
    const hints = new Hints(hub);
    await hub.raise("order-1");
    assert.equal((await hints.about("order-1")).messages, true);
    await hub.turn("order-1", { customStatus: '"half way"' });
    await hints.about("order-1");
    await hub.suspend("order-1");
    assert.equal((await hints.about("order-1")).messages, true);
    await hub.end("order-1");
    await hints.about("order-1");
    await hub.purge("order-1");
    await hints.about("order-1");
  });

  check("a timer that was set is hinted with the time when it is due", async (hub) => {
    await hub.run("order-1");
    const hints = new Hints(hub);
    const timersSet = [
      { task: 1, dueMs: 9_000 },
      { task: 2, dueMs: 7_000 },
    ];
    await hub.turn("order-1", { timersSet });
    const turn = await hints.next((hint) => hint.from === "here" && hint.nextDueMs !== undefined);
    assert.ok(turn.from === "here" && turn.nextDueMs !== undefined && turn.nextDueMs <= 7_000);
    const startAtMs = hub.now() + 60_000;
    await hub.start("later", { startAtMs });
    const start = await hints.about("later");
    assert.ok(start.nextDueMs !== undefined && start.nextDueMs <= startAtMs);
  });

  check("a request that was sent is hinted as a message", async (hub) => {
    await hub.run("parent");
    await hub.startChild("parent", "child", 1);
    const hints = new Hints(hub);
    await hub.terminate("parent", true);
    assert.equal((await hints.about("parent")).messages, true);
  });

  check("every listener is told, until it unsubscribes", async (hub) => {
    const first = new Hints(hub);
    const second = new Hints(hub);
    await hub.start("order-1");
    await first.about("order-1");
    await second.about("order-1");
    const started = hub.start("order-2");
    first.unsubscribe();
    await started;
    await second.about("order-2");
    assert.ok(!first.heard.some((hint) => hint.from === "here" && hint.instanceIds.includes("order-2")));
  });

  check("a listener may call the store", async (hub) => {
    const heard = new Promise<string>((resolve, reject) => {
      hub.store.subscribe(() => {
        // A hint of something else may come before the start is written.
        hub.store.get("order-1").then((record) => record && resolve(record.instance.status), reject);
      });
    });
    await hub.start("order-1");
    assert.equal(await heard, "Pending");
  });
}

/** Collects what one listener is told. */
class Hints {
  readonly heard: ChangeHint[] = [];
  readonly unsubscribe: () => void;
  #wake: () => void = () => {};
  #read = 0;

  constructor({ store }: TestHub) {
    this.unsubscribe = store.subscribe((hint) => {
      this.heard.push(hint);
      this.#wake();
    });
  }

  /** The next hint that says that this store has changed this instance. */
  async about(instanceId: string) {
    const hint = await this.next(
      ({ ...each }) => each.from === "here" && each.instanceIds.includes(instanceId),
    );
    assert.ok(hint.from === "here");
    return hint;
  }

  /** Waits for a hint for as long as the test may run. */
  async next(wanted: (hint: ChangeHint) => boolean): Promise<ChangeHint> {
    for (;;) {
      const hint = this.heard[this.#read];
      if (hint !== undefined) {
        this.#read++;
        if (wanted(hint)) return hint;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}
