import type { CommandAnswer } from "../src/core/command.js";
import type { EndedStatus } from "../src/core/instance.js";
import type { IfEndedAnswer } from "../src/core/start-policy.js";
import type { Call } from "./schedule.js";
import type { Effect } from "./store-line.js";

/**
 * Whether each ID, as its clients saw it, behaved like one object that does one thing at a time: a search for an order
 * of all calls that fits both what they were told and when they were made (Wing and Gong, "Testing and verifying
 * concurrent objects", 1993), with memory of where it has been. What the engine did by itself (a run ended, a child was
 * started) has its place in that order from the log of commits.
 */
export function unlinearizable(calls: readonly Call[], effects: readonly Effect[]): readonly string[] {
  const ids = new Set(calls.flatMap(({ operation }) => ("id" in operation ? [operation.id] : [])));
  return [...ids].filter((id) => {
    const operations = [...callsOn(id, calls), ...effectsOn(id, calls, effects)];
    return !hasOrder(operations);
  });
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
  /** Undefined where it is not known yet which it is. */
  readonly execution: string | undefined;
  /** By request ID. */
  readonly remembered: readonly (readonly [request: number, execution: string])[];
}

const ABSENT: State = { status: "absent", name: "", execution: undefined, remembered: [] };

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
  return { ...state, status: "live", execution, name };
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
    if (!("id" in operation) || operation.id !== id || told.kind === "unknown") return [];
    return [{ from: calledAt, to: returnedAt, apply: (state) => applyCall(call, state) }];
  });
}

function applyCall({ operation, told }: Call, state: State): State | undefined {
  const when = (isSo: boolean, next: State = state): State | undefined => (isSo ? next : undefined);
  if (told.kind === "refused") {
    switch (told.code) {
      case "InstanceNotFound":
        return when(state.status === "absent");
      case "InstanceEnded":
        return when(isEnded(state));
      case "InstanceHeld":
        return operation.do === "start" ? refusedStart(operation, told.holder, state) : when(isLive(state));
      case "InvalidState":
        return when(operation.do === "rewind" || isLive(state));
      default:
        return state; // a wait that timed out tells nothing
    }
  }
  const value = told.kind === "answer" ? told.value : undefined;
  switch (operation.do) {
    case "start":
      return startedBy(operation, answerOf(value), state);
    case "restart":
      return when(!isLive(state), live(state, answerOf(value).executionId));
    case "raise":
    case "suspend":
    case "resume":
      return when(isLive(state));
    case "terminate":
      return when(isLive(state), { ...state, status: "Terminated" });
    case "rewind":
      return when(state.status === "Failed", live(state, undefined));
    case "purge":
      return value === 0
        ? when(state.status === "absent")
        : when(isEnded(state), { ...state, status: "absent" });
    case "get":
    case "wait":
      return seen(value, state);
    case "history":
    case "executions": {
      const current: unknown = Array.isArray(value) ? value[0] : value;
      if (current === undefined) return when(state.status === "absent");
      return when(state.status !== "absent" && current === (state.execution ?? current));
    }
    case "list":
    case "pass":
      return state;
  }
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
  const execution = String(value.executionId);
  return says === state.status && matches(state, execution) ? { ...state, execution } : undefined;
}

type Start = Call["operation"] & { readonly do: "start" };

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

// --- what the engine did --------------------------------------------------------------------------------------------

/** Writes of the engine, and of calls whose callers were told nothing. */
function effectsOn(id: string, calls: readonly Call[], effects: readonly Effect[]): Op[] {
  const unknown = calls.filter(({ told }) => told.kind === "unknown");
  const isUntold = (effect: Effect): boolean =>
    unknown.some(
      ({ process, calledAt, returnedAt }) =>
        process === effect.process && effect.step >= calledAt && effect.step <= returnedAt,
    );
  return effects.flatMap((effect): Op[] => {
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
        return [{ ...at, apply: (state) => (isLive(state) ? live(state, next.executionId) : undefined) }];
      return [];
    }
    const { command, answer } = effect;
    const isOurs = command.instanceId === id && (command.consumes !== undefined || isUntold(effect));
    return isOurs ? [{ ...at, apply: (state) => applyAnswer(command, answer, state) }] : [];
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
