import type { Check, OpenStore, TestFunction } from "./check.js";
import { checkChildren } from "./children.js";
import { checkClosing } from "./closing.js";
import { checkConditions } from "./conditions.js";
import { checkContinueAsNew } from "./continue-as-new.js";
import { checkEnds } from "./ends.js";
import { checkFencingTokens } from "./fencing-tokens.js";
import { checkHints } from "./hints.js";
import { checkHistory } from "./history.js";
import { checkHubIsolation } from "./hub-isolation.js";
import { checkInstanceIds } from "./instance-ids.js";
import { checkLeases } from "./leases.js";
import { checkList } from "./list.js";
import { checkMailLimits } from "./mail-limits.js";
import { checkMessages } from "./messages.js";
import { checkParking } from "./parking.js";
import { checkPurge } from "./purge.js";
import { checkRaces } from "./races.js";
import { checkRecommits } from "./recommits.js";
import { checkRefusals } from "./refusals.js";
import { checkReplacement } from "./replacement.js";
import { checkRequestIds } from "./request-ids.js";
import { checkRetention } from "./retention.js";
import { checkRewind } from "./rewind.js";
import { checkSettings } from "./settings.js";
import { checkStartPolicies } from "./start-policies.js";
import { checkStarts } from "./starts.js";
import { checkStrikes } from "./strikes.js";
import { checkSuspension } from "./suspension.js";
import { checkTasks } from "./tasks.js";
import { SkippedCase, TestHub } from "./test-hub.js";
import { checkTimers } from "./timers.js";
import { checkTurnCommits } from "./turn-commits.js";
import { checkWaiters } from "./waiters.js";
import { checkWorkLeft } from "./work-left.js";
import { checkWorkers } from "./workers.js";

export type { OpenStore, TestFunction } from "./check.js";
export type { OpenedStore } from "./test-hub.js";

/**
 * Declares the cases that every store must pass: the guards, one by one, with every other field valid;
 * what each write leaves behind; and races within one process. A case that needs something which the
 * factory does not give is skipped, with the reason.
 *
 * @example
 * storeConformance({ test, open: async ({ taskHub }) => ({ store: await openMine(taskHub), dispose }) });
 */
export function storeConformance(options: {
  /** How cases are declared: `test` of vitest or node:test. */
  readonly test: TestFunction;
  readonly open: OpenStore;
  /** How often each race is repeated: 1,000 by default. */
  readonly rounds?: number;
}): void {
  const { test, open, rounds = 1_000 } = options;
  const check: Check = (name, run) =>
    test(name, async (context) => {
      const opened = await open({ taskHub: "conformance" });
      try {
        await run(new TestHub(opened, rounds));
      } catch (error) {
        if (!(error instanceof SkippedCase)) throw error;
        context.skip(error.message);
      } finally {
        await opened.dispose();
      }
    });
  for (const declare of concerns) declare(check);
}

const concerns: readonly ((check: Check) => void)[] = [
  checkStarts,
  checkStartPolicies,
  checkRequestIds,
  checkInstanceIds,
  checkTurnCommits,
  checkRecommits,
  checkMessages,
  checkMailLimits,
  checkTimers,
  checkSuspension,
  checkParking,
  checkWorkLeft,
  checkEnds,
  checkWaiters,
  checkReplacement,
  checkChildren,
  checkContinueAsNew,
  checkRewind,
  checkPurge,
  checkConditions,
  checkFencingTokens,
  checkHistory,
  checkRetention,
  checkList,
  checkRefusals,
  checkSettings,
  checkWorkers,
  checkLeases,
  checkStrikes,
  checkTasks,
  checkHints,
  checkHubIsolation,
  checkClosing,
  checkRaces,
];
