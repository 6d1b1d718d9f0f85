/**
 * A failure as data, after the Durable Task protocol's TaskFailureDetails: what was thrown, kept
 * readable whatever it was, and carried verbatim from activity or child to the waiting parent.
 */
export interface Failure {
  readonly type: string;
  readonly message: string;
  readonly stack?: string;
  readonly inner?: Failure;
  /** The failed code says that trying again is pointless. */
  readonly nonRetriable?: boolean;
  /** The task whose failure this is, where an orchestrator let it through: rewind starts there. */
  readonly task?: number;
  /** Data of our own error classes, so that they revive whole. */
  readonly data?: Readonly<Record<string, unknown>>;
}

/** The longest text kept of each part of a failure, in UTF-16 code units. */
export const MAX_FAILURE_TEXT = 16 * 1024;

/** How many causes of one error are kept, and how many failures of nested orchestrations. */
const MAX_CAUSES = 8;
const MAX_NESTING = 64;

/** Of how many parts an object may be that is kept as JSON. */
const MAX_PARTS = 1000;

/** Errors may carry this property to forbid retries, set to true. */
export const NON_RETRIABLE = "nonRetriable";

/**
 * Describes anything that was thrown: an Error, null, a string, a Proxy whose getters throw.
 * Never throws itself and never returns an empty type.
 */
export function describeFailure(thrown: unknown): Failure {
  try {
    return describe(thrown, 0);
  } catch {
    return { type: "Error", message: "something that cannot be read was thrown" };
  }
}

function describe(thrown: unknown, depth: number): Failure {
  if (typeof thrown !== "object" || thrown === null) return describePrimitive(thrown);
  const type = typeName(thrown);
  const message = readText(thrown, "message") ?? readJson(thrown);
  const inner = depth < MAX_CAUSES ? describeInner(thrown, depth) : undefined;
  return { type, message, ...facts(thrown, inner, read(thrown, "taskId"), readData(thrown)) };
}

function facts(
  thrown: object,
  inner: Failure | undefined,
  task: unknown,
  data: Record<string, unknown> | undefined,
): Omit<Failure, "type" | "message"> {
  const stack = readText(thrown, "stack");
  return {
    ...(stack === undefined ? {} : { stack }),
    ...(inner === undefined ? {} : { inner }),
    ...(read(thrown, NON_RETRIABLE) === true ? { nonRetriable: true } : {}),
    ...(typeof task === "number" && Number.isSafeInteger(task) ? { task } : {}),
    ...(data === undefined ? {} : { data }),
  };
}

function describePrimitive(thrown: unknown): Failure {
  if (typeof thrown === "string") return { type: "Error", message: clip(thrown) };
  if (typeof thrown === "function") return { type: "Error", message: "a function was thrown" };
  return { type: "Error", message: clip(`${String(thrown)} was thrown`) };
}

/** The `cause`, or the first of an AggregateError's `errors`; a failure that was revived keeps its own. */
function describeInner(thrown: object, depth: number): Failure | undefined {
  const failure = read(thrown, "failure");
  if (isFailure(failure)) return copyFailure(failure, 0);
  const cause = read(thrown, "cause");
  if (cause !== undefined && cause !== null) return describe(cause, depth + 1);
  const errors = read(thrown, "errors");
  const first = typeof errors === "object" && errors !== null ? read(errors, "0") : undefined;
  return first === undefined ? undefined : describe(first, depth + 1);
}

/** A failure that an error carries, member by member: it may be another library's, with anything in it. */
function copyFailure(failure: Failure, depth: number): Failure {
  const inner = read(failure, "inner");
  return {
    type: readText(failure, "type") ?? "Error",
    message: readText(failure, "message") ?? "",
    ...facts(
      failure,
      depth < MAX_NESTING && isFailure(inner) ? copyFailure(inner, depth + 1) : undefined,
      read(failure, "task"),
      asData(read(failure, "data")),
    ),
  };
}

/** Whether a value has the shape of a {@link Failure}. */
export function isFailure(value: unknown): value is Failure {
  if (typeof value !== "object" || value === null) return false;
  return typeof read(value, "type") === "string" && typeof read(value, "message") === "string";
}

function readData(thrown: object): Record<string, unknown> | undefined {
  const toData = read(thrown, "toFailureData");
  if (typeof toData !== "function") return undefined;
  try {
    return asData(Reflect.apply(toData, thrown, []));
  } catch {
    return undefined; // data is an extra: a failure without it is still readable
  }
}

function asData(value: unknown): Record<string, unknown> | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  try {
    const json = boundedJson(value);
    if (json === undefined || json.length > MAX_FAILURE_TEXT) return undefined;
    const data: unknown = JSON.parse(json);
    return typeof data === "object" && data !== null ? { ...data } : undefined;
  } catch {
    return undefined;
  }
}

/** `class PaymentError extends Error {}` inherits the name "Error": then the class's own name says more. */
function typeName(thrown: object): string {
  const name = readText(thrown, "name");
  const className = constructorName(thrown);
  if (name === undefined) return className ?? "Error";
  return className !== undefined && inheritsName(thrown) ? className : name;
}

function inheritsName(thrown: object): boolean {
  try {
    const prototype: unknown = Object.getPrototypeOf(thrown);
    const byClass = typeof prototype === "object" && prototype !== null && Object.hasOwn(prototype, "name");
    return !byClass && !Object.hasOwn(thrown, "name");
  } catch {
    return false;
  }
}

function constructorName(thrown: object): string | undefined {
  const constructor = read(thrown, "constructor");
  if (typeof constructor !== "function") return undefined;
  const name = readText(constructor, "name");
  return name === "Object" ? undefined : name;
}

function readText(thrown: object, key: string): string | undefined {
  const value = read(thrown, key);
  return typeof value === "string" && value !== "" ? clip(value) : undefined;
}

function readJson(thrown: object): string {
  try {
    return clip(boundedJson(thrown) ?? "an object without a message was thrown");
  } catch {
    return "an object that cannot be read was thrown";
  }
}

/** The JSON of what may be of any size, or share its parts so that its JSON would be. Throws where it is too large. */
function boundedJson(value: object): string | undefined {
  let left = MAX_PARTS;
  return JSON.stringify(value, (_key, part: unknown) => {
    if (--left < 0) throw new RangeError("too many parts");
    return typeof part === "string" ? clip(part) : part;
  });
}

/** A hostile getter must not hide that something failed. */
function read(thrown: object, key: string): unknown {
  try {
    return Reflect.get(thrown, key);
  } catch {
    return undefined;
  }
}

function clip(text: string): string {
  return text.length <= MAX_FAILURE_TEXT ? text : `${text.slice(0, MAX_FAILURE_TEXT)}…`;
}
