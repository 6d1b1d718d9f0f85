import { describe, expect, test } from "vitest";
import { ENDED_STATUSES } from "./instance.js";
import {
  decideStart,
  IF_ENDED_ANSWERS,
  IF_LIVE_ANSWERS,
  replaceableStatuses,
  startPolicy,
} from "./start-policy.js";

describe("decideStart", () => {
  test("starts where nobody has the ID, whatever the policy", () => {
    for (const ifLive of IF_LIVE_ANSWERS)
      for (const ifEnded of IF_ENDED_ANSWERS)
        expect(decideStart(undefined, "job", startPolicy(ifLive, ifEnded))).toEqual({
          kind: "begin",
          outcome: "started",
        });
  });

  test.each(["Pending", "Running"] as const)("answers by ifLive alone while it is %s", (status) => {
    for (const ifEnded of IF_ENDED_ANSWERS) {
      const decide = (ifLive: "reject" | "attach" | "terminate", name = "job") =>
        decideStart({ status, name: "job" }, name, startPolicy(ifLive, ifEnded));
      expect(decide("reject")).toEqual({ kind: "refuse", reason: "held" });
      expect(decide("attach")).toEqual({ kind: "attach" });
      expect(decide("attach", "other")).toEqual({ kind: "refuse", reason: "otherName" });
      expect(decide("terminate")).toEqual({ kind: "begin", outcome: "replaced" });
      expect(decide("terminate", "other")).toEqual({ kind: "begin", outcome: "replaced" });
    }
  });

  test.each(ENDED_STATUSES)("answers by ifEnded of its status alone once it is %s", (status) => {
    for (const ifLive of IF_LIVE_ANSWERS) {
      const decide = (answer: "start" | "return" | "reject", name = "job") =>
        decideStart({ status, name: "job" }, name, startPolicy(ifLive, { [status]: answer }));
      expect(decide("start")).toEqual({ kind: "begin", outcome: "started" });
      expect(decide("start", "other")).toEqual({ kind: "begin", outcome: "started" });
      expect(decide("return")).toEqual({ kind: "return" });
      expect(decide("return", "other")).toEqual({ kind: "refuse", reason: "otherName" });
      expect(decide("reject")).toEqual({ kind: "refuse", reason: "used" });
    }
  });

  test("refuses the live and replaces the ended by default", () => {
    expect(startPolicy()).toEqual({
      ifLive: "reject",
      ifEnded: { Completed: "start", Failed: "start", Terminated: "start", Canceled: "start" },
    });
    expect(replaceableStatuses(startPolicy("reject", { Failed: "reject" }))).toEqual([
      "Completed",
      "Terminated",
      "Canceled",
    ]);
  });
});
