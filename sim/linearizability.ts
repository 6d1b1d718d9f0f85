import { z } from "zod";
import type { CommandAnswer } from "../src/core/command.js";
import type { EndedStatus } from "../src/core/instance.js";
import type { IfEndedAnswer } from "../src/core/start-policy.js";
import type { Call } from "./schedule.js";
import type { Effect } from "./store-line.js";
import { JOINING } from "./workload.js";

/**
 * Whether each ID, as its clients saw it, behaved like one object that does one thing at a time: a search for an order
 * of all calls that fits both what they were told and when they were made (Wing and Gong, "Testing and verifying
 * concurrent objects", 1993), with memory of where it has been. What the engine did by itself (a run ended, a child was
 * started) has its place in that order from the log of commits.
 *
 * @returns what cannot be explained, in words.
 */
export function unlinearizable(calls: readonly Call[], effects: readonly Effect[]): readonly string[] {
  const ids = new Set(calls.flatMap(({ operation }) => ("id" in operation ? [operation.id] : [])));
  const disordered = [...ids].filter((id) => {
    const operations = [...callsOn(id, calls), ...effectsOn(id, calls, effects)];
    return !hasOrder(operations);
  });
  const untrue = calls.filter((call) => !isBorneOut(call, effects));
  return [
    ...disordered.map((id) => `${id}: no order of the calls explains what their callers were told`),
    ...untrue.map(
      ({ operation, told }) => `${operation.do} was told what is not so: ${JSON.stringify(told)}`,
    ),
  ];
}

/** Something that happened at one moment between two. */
interface Op {
  readonly from: number;
  readonly to: number;
  /** The state after it, or nothing where it cannot have happened here. */
  readonly apply: (state: State) => State | undefined;
}

/** An ID as clients can tell. */
interface State {
  readonly status: "absent" | "live" | EndedStatus;
  readonly name: string;
  readonly suspended: boolean;
  /** Undefined where it is not known yet which it is. */
  readonly execution: string | undefined;
  /** By request ID. */
  readonly remembered: readonly (readonly [request: number, execution: string])[];
}

const ABSENT: State = {
  status: "absent",
  name: "",
  suspended: false,
  execution: undefined,
  remembered: [],
};

function hasOrder(ops: readonly Op[]): boolean {
  const seen = new Set<string>();
  const search = (left: readonly Op[], state: State): boolean => {
    if (left.length === 0) return true;
    const key = `${left.map((op) => ops.indexOf(op)).join(",")} ${JSON.stringify(state)}`;
    if (seen.has(key)) return false;
    seen.add(key);
    const first = Math.min(...left.map(({ to }) => to));
    return left.some((op) => {
      if (op.from > first) return false; // another one was over before this one began
      const next = op.apply(state);
      return (
        next !== undefined &&
        search(
          left.filter((other) => other !== op),
          next,
        )
      );
    });
  };
  return search(ops, ABSENT);
}

function live(state: State, execution: string | undefined, name = state.name): State {
  return { ...state, status: "live", suspended: false, execution, name };
}

function matches(state: State, execution: string): boolean {
  return state.execution === undefined || state.execution === execution;
}

const isLive = ({ status }: State): boolean => status === "live";
const isEnded = ({ status }: State): boolean => status !== "live" && status !== "absent";

// --- what clients did -----------------------------------------------------------------------------------------------

function callsOn(id: string, calls: readonly Call[]): Op[] {
  return calls.flatMap((call) => {
    const { operation, told, calledAt, returnedAt } = call;
    const concerns = operation.do === "list" || ("id" in operation && operation.id === id);
    if (!concerns || told.kind === "unknown") return [];
    return [{ from: calledAt, to: returnedAt, apply: (state) => applyCall(call, id, state) }];
  });
}

function applyCall({ operation, told }: Call, id: string, state: State): State | undefined {
  const when = (isSo: boolean, next: State = state): State | undefined => (isSo ? next : undefined);
  if (told.kind === "refused") {
    switch (told.code) {
      case "InstanceNotFound":
        return when(state.status === "absent");
      case "InstanceEnded":
        return when(isEnded(state));
      case "InstanceHeld":
        if (operation.do === "start" || operation.do === "join")
          return refusedStart(policyOf(operation), told.holder, state);
        return when(isLive(state));
      case "InvalidState":
        if (operation.do === "rewind") return when(state.status !== "Failed" && state.status !== "absent");
        return when(isLive(state));
      case "WaitTimeout":
        return when(isLive(state)); // who gives up has looked, and seen that it goes on
      case "StoreConflict":
        return state; // and nothing was written, however often it was tried
      default:
        return undefined;
    }
  }
  const value = told.kind === "answer" ? told.value : undefined;
  switch (operation.do) {
    case "start":
    case "join":
      return startedBy(policyOf(operation), answerOf(value), state);
    case "restart":
      return when(!isLive(state), live(state, answerOf(value).executionId));
    case "copy":
      return when(state.status !== "absent");
    case "raise":
      return when(isLive(state));
    case "suspend":
    case "resume":
      return when(isLive(state), { ...state, suspended: operation.do === "suspend" });
    case "terminate":
      return when(isLive(state), { ...state, status: "Terminated" });
    case "rewind":
      return when(state.status === "Failed", live(state, undefined));
    case "purge":
      if (operation.recursive) return state; // tried again as a whole: what it did is in the log
      return value === 0
        ? when(state.status === "absent")
        : when(isEnded(state), { ...state, status: "absent" });
    case "get":
    case "wait":
      return operation.do === "wait" && !isEnded(state) ? undefined : seen(value, state);
    case "history":
    case "executions":
      return seenExecution(Array.isArray(value) ? value[0] : value, state);
    case "list":
      return seen(Array.isArray(value) ? value.find((each) => isShown(each, id)) : undefined, state);
    case "startAnew":
    case "purgeBy":
    case "pass":
      return state;
  }
}

function isShown(shown: unknown, id: string): boolean {
  return typeof shown === "object" && shown !== null && "instanceId" in shown && shown.instanceId === id;
}

function seenExecution(current: unknown, state: State): State | undefined {
  if (current === undefined) return state.status === "absent" ? state : undefined;
  if (typeof current !== "string" || state.status === "absent") return undefined;
  return matches(state, current) ? { ...state, execution: current } : undefined;
}

function answerOf(value: unknown): { readonly outcome: string; readonly executionId: string } {
  if (typeof value === "object" && value !== null && "outcome" in value && "executionId" in value)
    return { outcome: String(value.outcome), executionId: String(value.executionId) };
  throw new TypeError("a start was answered with something else");
}

function seen(value: unknown, state: State): State | undefined {
  if (value === undefined) return state.status === "absent" ? state : undefined;
  if (typeof value !== "object" || value === null || !("runtimeStatus" in value) || !("executionId" in value))
    return undefined;
  const status = String(value.runtimeStatus);
  const says = status === "Pending" || status === "Running" || status === "Suspended" ? "live" : status;
  if (says === "live" && (status === "Suspended") !== state.suspended) return undefined;
  const execution = String(value.executionId);
  return says === state.status && matches(state, execution) ? { ...state, execution } : undefined;
}

type Start = Pick<Call["operation"] & { readonly do: "start" }, "name" | "ifLive" | "ifEnded" | "requestId">;

/** Who joins a run begins one only where there was none. */
function policyOf(operation: Call["operation"] & { readonly do: "start" | "join" }): Start {
  if (operation.do === "start") return operation;
  return { name: operation.name, ...JOINING, requestId: undefined };
}

function startedBy(
  { name, ifLive, ifEnded, requestId }: Start,
  { outcome, executionId }: { readonly outcome: string; readonly executionId: string },
  state: State,
): State | undefined {
  const before = state.remembered.find(([request]) => request === requestId);
  if (requestId !== undefined && before !== undefined) return before[1] === executionId ? state : undefined;
  const remembered =
    requestId === undefined ? state.remembered : [...state.remembered, [requestId, executionId] as const];
  const answer = ending(state, ifEnded);
  const begins =
    (outcome === "started" && (state.status === "absent" || answer === "start")) ||
    (outcome === "replaced" && isLive(state) && ifLive === "terminate");
  if (begins) return { ...live(state, executionId, name), remembered };
  const joins =
    (outcome === "attached" && isLive(state) && ifLive === "attach") ||
    (outcome === "returned" && answer === "return");
  if (!joins || state.name !== name || !matches(state, executionId)) return undefined;
  return { ...state, execution: executionId, remembered };
}

function refusedStart(
  { name, ifLive, ifEnded }: Start,
  holder: string | undefined,
  state: State,
): State | undefined {
  if (holder === undefined || !matches(state, holder)) return undefined;
  const otherName = state.name !== name;
  const held = isLive(state) && (ifLive === "reject" || (ifLive === "attach" && otherName));
  const answer = ending(state, ifEnded);
  const used = answer === "reject" || (answer === "return" && otherName);
  return held || used ? { ...state, execution: holder } : undefined;
}

function ending(
  { status }: State,
  ifEnded: { readonly [S in EndedStatus]: IfEndedAnswer },
): IfEndedAnswer | undefined {
  return status === "absent" || status === "live" ? undefined : ifEnded[status];
}

// --- what callers were told beside that -------------------------------------------------------------------------------

const DRAWN = z.object({ outcome: z.string(), instanceId: z.string() });
const OUTPUT = z.object({
  instanceId: z.string(),
  executionId: z.string(),
  given: z.object({ run: z.number() }),
});
const SHOWN = z.object({ runtimeStatus: z.string(), executionId: z.string(), output: z.unknown() });
const JOINED = z.object({ run: z.number(), output: OUTPUT.optional(), purged: z.boolean() });

/** Whether the log of writes, and what programs return, bear out what a call was told beside the state of its ID. */
function isBorneOut(call: Call, effects: readonly Effect[]): boolean {
  const { operation, told } = call;
  if (told.kind !== "answer") return true;
  const { value } = told;
  switch (operation.do) {
    case "startAnew":
    case "copy": {
      const { outcome, instanceId } = DRAWN.parse(value);
      const begun = effects.filter(
        (effect) => effect.kind === "command" && effect.command.instanceId === instanceId && isStart(effect),
      );
      return outcome === "started" && begun.length === 1;
    }
    case "purge":
    case "purgeBy": {
      const purged = effects.filter((effect) => isOf(call, effect) && isPurge(effect));
      return typeof value === "number" && value <= purged.length;
    }
    case "get":
    case "wait": {
      if (value === undefined) return true;
      const { runtimeStatus, executionId, output } = SHOWN.parse(value);
      return runtimeStatus !== "Completed" || OUTPUT.parse(output).executionId === executionId;
    }
    case "join": {
      const { run, output, purged } = JOINED.parse(value);
      const isPurged = effects.some(
        (effect) => isPurge(effect) && effect.command.instanceId === operation.id && isDuring(call, effect),
      );
      const isOutput =
        output === undefined || (output.instanceId === operation.id && output.given.run === run);
      return (isPurged || !purged) && isOutput;
    }
    default:
      return true;
  }
}

type CommandEffect = Effect & { readonly kind: "command" };

function isPurge(effect: Effect): effect is CommandEffect {
  return effect.kind === "command" && effect.answer.outcome === "purged";
}

function isStart({ answer }: CommandEffect): boolean {
  return answer.outcome === "started";
}

function isDuring({ calledAt, returnedAt }: Call, { step }: Effect): boolean {
  return step >= calledAt && step <= returnedAt;
}

function isOf(call: Call, effect: Effect): boolean {
  return call.process === effect.process && call.client === effect.client && isDuring(call, effect);
}

// --- what the engine did --------------------------------------------------------------------------------------------

/** Writes of the engine, and those of clients that no answer tells of. What comes after the last answer tells nobody. */
function effectsOn(id: string, calls: readonly Call[], effects: readonly Effect[]): Op[] {
  const told = calls.filter((call) => call.told.kind !== "unknown");
  const tellOf = told.filter(
    ({ operation }) =>
      "id" in operation && operation.id === id && !(operation.do === "purge" && operation.recursive),
  );
  const lastAt = Math.max(0, ...told.map(({ returnedAt }) => returnedAt));
  return effects.flatMap((effect): Op[] => {
    if (effect.step > lastAt) return [];
    const at = { from: effect.step, to: effect.step };
    if (effect.kind === "turn") {
      const { turn, result } = effect;
      if (turn.instanceId !== id || !result.accepted || effect.again) return [];
      const { end, next } = turn;
      if (end !== undefined)
        return [
          {
            ...at,
            apply: (state) =>
              isLive(state) ? { ...state, status: end.status, execution: turn.executionId } : undefined,
          },
        ];
      if (next !== undefined)
        return [
          {
            ...at,
            apply: (state) => (isLive(state) ? { ...state, execution: next.executionId } : undefined),
          },
        ];
      return [];
    }
    const { command, answer } = effect;
    const isUntold = command.consumes !== undefined || !tellOf.some((call) => isOf(call, effect));
    return command.instanceId === id && isUntold
      ? [{ ...at, apply: (state) => applyAnswer(command, answer, state) }]
      : [];
  });
}

function applyAnswer(
  command: (Effect & { readonly kind: "command" })["command"],
  answer: CommandAnswer,
  state: State,
): State | undefined {
  switch (answer.outcome) {
    case "started":
    case "replaced": {
      const begun = command.kind === "rewind" ? command.orElse : command;
      const name = begun?.kind === "start" ? begun.name : state.name;
      const remembered =
        begun?.kind === "start" && begun.requestId !== undefined
          ? [...state.remembered, [requestOf(begun.requestId), answer.executionId] as const]
          : state.remembered;
      if (
        remembered.length > state.remembered.length &&
        state.remembered.some(([request]) => request === remembered.at(-1)?.[0])
      )
        return state;
      return { ...live(state, answer.executionId, name), remembered };
    }
    case "purged":
      return { ...state, status: "absent" };
    case "done":
      if (command.kind === "terminate") return { ...state, status: "Terminated" };
      if (command.kind === "rewind") return live(state, command.executionId);
      if (command.kind === "suspend" || command.kind === "resume")
        return { ...state, suspended: command.kind === "suspend" };
      return state;
    case "attached":
    case "returned":
      return command.kind === "start" && command.requestId !== undefined
        ? { ...state, remembered: [...state.remembered, [requestOf(command.requestId), answer.executionId]] }
        : state;
    default:
      return state;
  }
}

function requestOf(requestId: string): number {
  return Number(requestId.replace("request-", ""));
}
