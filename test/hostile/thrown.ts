// What code may throw that is no good error: to be run through every place that has to tell of it.

function throwing(): never {
  throw new Error("hostile");
}

/** An error that answers each question about itself with an error, or with what nobody expects. */
function hostileError(): Error {
  const error = new Error("x");
  for (const key of [
    "message",
    "name",
    "stack",
    "cause",
    "errors",
    "failure",
    "taskId",
    "nonRetriable",
    "toString",
  ])
    Object.defineProperty(error, key, { get: throwing, configurable: true });
  return error;
}

function sharedParts(): unknown {
  let value: unknown = ["x"];
  for (let level = 0; level < 40; level++) value = [value, value];
  return value;
}

function deep(): unknown {
  let value: unknown = {};
  for (let level = 0; level < 100_000; level++)
    value = { inner: value, type: "T", message: "m", cause: value };
  return value;
}

/** What is thrown, and what its type and message must be like. */
export const THROWN: readonly (readonly [
  what: string,
  make: () => unknown,
  type: string,
  message: RegExp,
])[] = [
  ["an error that throws at each look", hostileError, "Error", /./],
  ["an object that shares its parts", () => ({ parts: sharedParts() }), "Error", /cannot be read/],
  ["an object nested 100,000 deep", deep, "Error", /^m$/],
  ["a message of 2 MB", () => new Error("m".repeat(2e6)), "Error", /^m+…$/],
  ["a text of 2 MB", () => "m".repeat(2e6), "Error", /^m+…$/],
  ["a symbol of 1 MB", () => Symbol("m".repeat(1e6)), "Error", /^Symbol\(m+…$/],
  ["a name of 1 MB", () => Object.assign(new Error("m"), { name: "N".repeat(1e6) }), "N", /^m$/],
  ["a stack of 1 MB", () => Object.assign(new Error("m"), { stack: "s".repeat(1e6) }), "Error", /^m$/],
  [
    "data of 1 MB",
    () => Object.assign(new Error("m"), { toFailureData: () => ({ a: "d".repeat(1e6) }) }),
    "Error",
    /^m$/,
  ],
  [
    "data that shares its parts",
    () => Object.assign(new Error("m"), { toFailureData: sharedParts }),
    "Error",
    /^m$/,
  ],
  [
    "a failure of another library, of 1 MB",
    () =>
      Object.assign(new Error("m"), { failure: { type: "F", message: "f", data: { a: "d".repeat(1e6) } } }),
    "Error",
    /^m$/,
  ],
  [
    "1,000 errors in one",
    () =>
      new AggregateError(
        Array.from({ length: 1e3 }, () => new Error("one")),
        "m",
      ),
    "AggregateError",
    /^m$/,
  ],
  [
    "causes in a circle of two",
    () => {
      const a = new Error("m");
      a.cause = new Error("b", { cause: a });
      return a;
    },
    "Error",
    /^m$/,
  ],
  [
    "U+0000 and half a pair",
    () => Object.assign(new Error("a\0\ud800"), { name: "\0\udc00" }),
    "\0\udc00",
    /^a\0\ud800$/,
  ],
  ["the type __proto__", () => Object.assign(new Error("m"), { name: "__proto__" }), "__proto__", /^m$/],
  ["a name that is no text", () => Object.assign(new Error("m"), { name: { polluted: 1 } }), "Error", /^m$/],
  ["a class without a name", () => new (class extends Error {})("m"), "Error", /^m$/],
  ["a function", () => throwing, "Error", /function/],
];

function revoked(target: object): unknown {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

function trapped(target: object): unknown {
  return new Proxy(target, {
    get: throwing,
    getPrototypeOf: throwing,
    has: throwing,
    ownKeys: throwing,
    getOwnPropertyDescriptor: throwing,
  });
}

/** An error with a code of ours, and members that an answer cannot hold. */
function coded(code: string, members: object): Error {
  return Object.assign(new Error("m"), { code }, members);
}

/** What is thrown beside these at an edge that answers by the error's own code. */
export const CODED: readonly (readonly [what: string, make: () => unknown])[] = [
  ["null", () => null],
  ["undefined", () => undefined],
  ["a BigInt", () => 1n],
  ["a revoked Proxy", () => revoked({})],
  ["a revoked Proxy of an error", () => revoked(new Error("m"))],
  ["a trapped Proxy of an error", () => trapped(coded("InstanceNotFound", {}))],
  ["a limit that is a BigInt", () => coded("LimitExceeded", { limit: 1n, allowed: 2n, actual: Symbol("s") })],
  ["a limit that is a circle", () => coded("LimitExceeded", { limit: circle() })],
  ["a limit that shares its parts", () => coded("LimitExceeded", { limit: sharedParts() })],
  ["a limit nested 100,000 deep", () => coded("LimitExceeded", { limit: deep() })],
  ["a list without end", () => coded("UnregisteredName", { knownNames: endless() })],
  ["a list of BigInts", () => coded("UnregisteredName", { knownNames: [1n] })],
  ["a revoked Proxy as a list", () => coded("UnregisteredName", { knownNames: revoked([]) })],
  ["a holder that is none", () => coded("InstanceHeld", { holder: { since: 1n, a: sharedParts() } })],
  [
    "a holder with times of no calendar",
    () => coded("InstanceHeld", { holder: { sinceMs: 1e99, lastProgressMs: {} } }),
  ],
  ["a holder that is a revoked Proxy", () => coded("InstanceHeld", { holder: revoked({}) })],
  ["a message that is a BigInt", () => Object.assign(coded("InvalidArgument", {}), { message: 1n })],
  [
    "a message that shares its parts",
    () => Object.assign(coded("InvalidArgument", {}), { message: sharedParts() }),
  ],
  ["a code that throws", () => Object.defineProperty(new Error("m"), "code", { get: throwing })],
  [
    "a member that throws",
    () => Object.defineProperty(coded("InvalidState", {}), "runtimeStatus", { get: throwing }),
  ],
  ["a code named __proto__", () => coded("__proto__", {})],
  ["a code named toString", () => coded("toString", {})],
  ["half a surrogate pair", () => Object.assign(coded("InvalidArgument", {}), { message: "\ud800" })],
];

function circle(): unknown {
  const parts: unknown[] = [];
  parts.push(parts);
  return parts;
}

function endless(): unknown {
  return new Proxy([], { get: (_target, key) => (key === "length" ? Number.POSITIVE_INFINITY : "x") });
}
