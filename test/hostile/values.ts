// Values that JSON would change, cannot hold, or could be blocked by.

export interface HostileValue {
  readonly what: string;
  /** Made anew for each use: some of them are used up by being read. */
  readonly make: () => unknown;
  /** What the refusal says. */
  readonly says: RegExp;
  /** It takes a good part of a second to refuse: once is enough. */
  readonly costly?: true;
}

function throwing(): never {
  throw new Error("hostile");
}

/** Answers every question with an error. */
function trapped(target: object): unknown {
  return new Proxy(target, {
    get: throwing,
    getPrototypeOf: throwing,
    ownKeys: throwing,
    has: throwing,
    getOwnPropertyDescriptor: throwing,
  });
}

function revoked(target: object): unknown {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

function nested(depth: number, bottom: unknown = 1): unknown {
  let value = bottom;
  for (let level = 0; level < depth; level++) value = { a: value };
  return value;
}

/** 30 objects whose JSON would have 2^30 parts. */
function shared(): unknown {
  let value: unknown = ["x"];
  for (let level = 0; level < 30; level++) value = [value, value];
  return value;
}

function cycle(): unknown {
  const list: unknown[] = [1];
  list.push({ back: list });
  return list;
}

function holes(length: number): unknown {
  const array: unknown[] = [];
  array.length = length;
  return array;
}

function repeated(text: string, times: number): unknown {
  return Array.from({ length: times }, () => text);
}

/** Plain when it is looked at, and something else after that. */
function changing(second: unknown): unknown {
  let reads = 0;
  return {
    get a(): unknown {
      return reads++ === 0 ? 1 : second;
    },
  };
}

export const HOSTILE_VALUES: readonly HostileValue[] = [
  { what: "a BigInt", make: () => ({ a: [1n] }), says: /a\[0\] is a BigInt/ },
  { what: "a symbol", make: () => ({ a: Symbol("s") }), says: /a is a symbol/ },
  { what: "a function", make: () => [throwing], says: /\[0\] is a function/ },
  { what: "a class", make: () => TypeError, says: /the value itself is a function/ },
  { what: "a Map", make: () => new Map([["a", 1]]), says: /a Map/ },
  { what: "a Set", make: () => ({ a: new Set([1]) }), says: /a is a Set/ },
  { what: "a WeakMap", make: () => new WeakMap(), says: /an instance of WeakMap/ },
  { what: "NaN", make: () => [Number.NaN], says: /\[0\] is NaN/ },
  { what: "-Infinity", make: () => ({ a: Number.NEGATIVE_INFINITY }), says: /a is -Infinity/ },
  { what: "a hole in an array", make: () => holes(3), says: /\[0\] is undefined in an array/ },
  { what: "the longest array", make: () => holes(2 ** 32 - 1), says: /\[0\] is undefined in an array/ },
  { what: "a Date", make: () => ({ a: { b: new Date(0) } }), says: /a\.b is a Date/ },
  { what: "an invalid Date", make: () => new Date(Number.NaN), says: /a Date/ },
  { what: "an Error", make: () => new Error("x"), says: /an instance of Error/ },
  { what: "a RegExp", make: () => /x/, says: /an instance of RegExp/ },
  { what: "a Buffer", make: () => Buffer.from("x"), says: /an instance of Buffer/ },
  { what: "a boxed text", make: () => new String("x"), says: /an instance of String/ },
  { what: "a cycle", make: cycle, says: /\[1\]\.back is a cycle/ },
  { what: "depth 257", make: () => nested(257), says: /nesting deeper than 256/ },
  { what: "depth 100,000", make: () => nested(100_000), says: /nesting deeper than 256/ },
  { what: "shared parts, 2^30 of them", make: shared, says: /The limit "payload" is 4194304/, costly: true },
  {
    what: "a text of 4 MB and more",
    make: () => "x".repeat(4 * 1024 * 1024 - 1),
    says: /The limit "payload"/,
  },
  {
    what: "one long text many times",
    make: () => repeated("x".repeat(1e6), 5000),
    says: /The limit "payload"/,
  },
  { what: "keys of 5 MB", make: () => ({ ["k".repeat(5e6)]: 1 }), says: /The limit "payload"/ },
  {
    what: "many texts that escapes make large",
    make: () => repeated("\0".repeat(1e5), 9),
    says: /The limit "payload"/,
  },
  {
    what: "a getter that throws",
    make: () => ({
      a: {
        get b() {
          return throwing();
        },
      },
    }),
    says: /a\.b is a property that throws/,
  },
  { what: "toJSON", make: () => ({ a: { toJSON: () => "another" } }), says: /a is an object with toJSON/ },
  {
    what: "toJSON of an array",
    make: () => ({ a: Object.assign([1], { toJSON: () => 2 }) }),
    says: /a is an object with toJSON/,
  },
  {
    what: "toJSON that throws",
    make: () => ({ a: { toJSON: throwing } }),
    says: /a is an object with toJSON/,
  },
  {
    what: "a toJSON getter that throws",
    make: () => ({
      get toJSON() {
        return throwing();
      },
    }),
    says: /throws when looked at/,
  },
  {
    what: "a trapped Proxy",
    make: () => ({ a: trapped({}) }),
    says: /a is an object that throws when looked at/,
  },
  {
    what: "a trapped Proxy of an array",
    make: () => [trapped([])],
    says: /\[0\] is an object that throws when looked at/,
  },
  {
    what: "a revoked Proxy",
    make: () => [revoked({})],
    says: /\[0\] is an object that throws when looked at/,
  },
  {
    what: "a revoked Proxy of an array",
    make: () => ({ a: revoked([]) }),
    says: /a is an object that throws when looked at/,
  },
  {
    what: "a Proxy of an array without end",
    make: () =>
      new Proxy([], {
        get: (_target, key) =>
          key === "length" ? Number.POSITIVE_INFINITY : key === "toJSON" ? undefined : 1,
      }),
    says: /The limit "payload"/,
    costly: true,
  },
  {
    what: "a getter that throws a revoked Proxy",
    make: () => ({
      get a() {
        throw revoked({});
      },
    }),
    says: /a is a property that throws/,
  },
  { what: "a BigInt at the second look", make: () => changing(1n), says: /another value at each reading/ },
  {
    what: "a cycle at the second look",
    make: () => changing(cycle()),
    says: /another value at each reading/,
  },
  {
    what: "a throw at the second look",
    make: () => changing({ toJSON: throwing }),
    says: /another value at each reading/,
  },
];

/** Values that are strange, and travel: as they are, or without what JSON leaves out. */
export const CARRIED_VALUES: readonly (readonly [what: string, value: unknown])[] = [
  ["a key named __proto__", JSON.parse('{"__proto__":{"polluted":true},"a":[{"__proto__":{"polluted":1}}]}')],
  ["keys named like members", { constructor: { prototype: { polluted: true } }, toString: 1, length: -1 }],
  ["an empty key", { "": { "": "" } }],
  ["U+0000 in text and key", { "a\0": "\0b\0" }],
  ["half a surrogate pair in text and key", { "\ud800": ["\udc00", "a\ud83e"] }],
  ["control characters", "\u0001\u001b[2J\u007f\u0085\u2028\u2029\ufeff\uffff"],
  ["text that looks like SQL", "'; drop table inst; -- \\ % _ $1 :a @inst {} []"],
  ["text that looks like a codec's", "gzip:AAAA"],
  ["depth 256", nested(255, [])],
  [
    "the largest and smallest numbers",
    [Number.MAX_VALUE, Number.MIN_VALUE, Number.MAX_SAFE_INTEGER, 1e-7, 0.1],
  ],
  ["100,000 elements", Array.from({ length: 100_000 }, (_each, index) => index)],
  ["the longest text", "x".repeat(4 * 1024 * 1024 - 2)],
];
