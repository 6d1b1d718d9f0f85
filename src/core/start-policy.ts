import { InvalidArgumentError } from "./errors.js";
import { ENDED_STATUSES, type EndedStatus, type Instance, isLive } from "./instance.js";

/** What a start does when its ID is held (Pending, Running, Suspended). */
export type IfLive = "reject" | "attach" | "terminate";

/** What a start does when its ID was used before and has ended. */
export type IfEndedAnswer = "start" | "return" | "reject";

/** One answer for every ended status, or an answer per status (those left out: `start`). */
export type IfEnded = IfEndedAnswer | { readonly [S in EndedStatus]?: IfEndedAnswer };

/** The two independent answers of a start, spelled out. */
export interface StartPolicy {
  readonly ifLive: IfLive;
  readonly ifEnded: { readonly [S in EndedStatus]: IfEndedAnswer };
}

export const IF_LIVE_ANSWERS: readonly IfLive[] = ["reject", "attach", "terminate"];
export const IF_ENDED_ANSWERS: readonly IfEndedAnswer[] = ["start", "return", "reject"];

/**
 * Fills in the defaults: refuse while live, start anew once ended (Durable Functions 2.x and later).
 *
 * @throws InvalidArgumentError for an answer or a status that does not exist.
 */
export function startPolicy(ifLive: IfLive = "reject", ifEnded: IfEnded = "start"): StartPolicy {
  if (!IF_LIVE_ANSWERS.includes(ifLive)) {
    throw new InvalidArgumentError("ifLive", `must be one of ${IF_LIVE_ANSWERS.join(", ")}`);
  }
  if (typeof ifEnded === "object" && ifEnded !== null) checkStatuses(ifEnded);
  const answer = (status: EndedStatus): IfEndedAnswer => {
    const given = typeof ifEnded === "object" && ifEnded !== null ? (ifEnded[status] ?? "start") : ifEnded;
    if (IF_ENDED_ANSWERS.includes(given)) return given;
    throw new InvalidArgumentError(
      "ifEnded",
      `must be one of ${IF_ENDED_ANSWERS.join(", ")}, or a map of statuses to them`,
    );
  };
  return {
    ifLive,
    ifEnded: {
      Completed: answer("Completed"),
      Failed: answer("Failed"),
      Terminated: answer("Terminated"),
      Canceled: answer("Canceled"),
    },
  };
}

function checkStatuses(answers: object): void {
  for (const status of Object.keys(answers)) {
    if (ENDED_STATUSES.some((known) => known === status)) continue;
    throw new InvalidArgumentError("ifEnded", `"${status}" is not one of ${ENDED_STATUSES.join(", ")}`);
  }
}

export type StartDecision =
  | { readonly kind: "begin"; readonly outcome: "started" | "replaced" }
  | { readonly kind: "attach" }
  | { readonly kind: "return" }
  | { readonly kind: "refuse"; readonly reason: "held" | "used" | "otherName" };

/**
 * The singleton table: what a start does, given who has the ID. Whoever calls this holds the row's
 * lock, or makes its write conditional on {@link replaceableStatuses}.
 */
export function decideStart(
  existing: Pick<Instance, "status" | "name"> | undefined,
  name: string,
  policy: StartPolicy,
): StartDecision {
  if (existing === undefined) return { kind: "begin", outcome: "started" };
  const sameName = existing.name === name;
  if (isLive(existing.status)) {
    switch (policy.ifLive) {
      case "reject":
        return { kind: "refuse", reason: "held" };
      case "attach":
        return sameName ? { kind: "attach" } : { kind: "refuse", reason: "otherName" };
      case "terminate":
        return { kind: "begin", outcome: "replaced" };
    }
  }
  switch (policy.ifEnded[existing.status]) {
    case "start":
      return { kind: "begin", outcome: "started" };
    case "return":
      return sameName ? { kind: "return" } : { kind: "refuse", reason: "otherName" };
    case "reject":
      return { kind: "refuse", reason: "used" };
  }
}

/** The ended statuses over which this policy starts anew: the condition of the store's upsert. */
export function replaceableStatuses(policy: StartPolicy): readonly EndedStatus[] {
  return ENDED_STATUSES.filter((status) => policy.ifEnded[status] === "start");
}
