import { InvalidValueError, LimitExceededError } from "./errors.js";
import { isWellFormed } from "./text.js";

/**
 * A value on its way through the engine: opaque text to core and stores. Plain JSON text stands for
 * itself; text of another codec starts with `key:` (JSON text never starts so), so that a payload
 * always carries the key of the codec that can read it.
 */
export type Payload = string;

/** Turns values into payloads and back. Only SDK and HTTP edges call it. */
export interface PayloadCodec {
  /** Gives text that every store can hold: no U+0000 in it, and no half of a surrogate pair. */
  encode(json: string): Payload;
  decode(payload: Payload): string;
}

/** The largest payload, in UTF-16 code units: of its JSON, and of what the codec makes of it (4 MB). */
export const MAX_PAYLOAD_LENGTH = 4 * 1024 * 1024;

/** The largest custom status, in UTF-16 code units of its JSON text. Durable Functions' limit of 16 KB. */
export const MAX_CUSTOM_STATUS_LENGTH = 16 * 1024;

/** The deepest nesting of a value. Far below where JSON.stringify runs out of stack. */
export const MAX_VALUE_DEPTH = 256;

/** The default codec: JSON text as it is. */
export const jsonCodec: PayloadCodec = {
  encode: (json) => json,
  decode: (payload) => payload,
};

/**
 * Encodes a value. `undefined` gives no payload, undefined properties are dropped.
 *
 * @param what names the value in errors, e.g. `the input of activity "charge"`.
 * @throws InvalidValueError with the path, for anything JSON would change silently or cannot hold:
 *   Date, Map, class instances, NaN, BigInt, functions, cycles.
 * @throws LimitExceededError above {@link MAX_PAYLOAD_LENGTH}.
 */
export function encodeValue(codec: PayloadCodec, value: unknown, what: string): Payload | undefined {
  if (value === undefined) return undefined;
  new ValueCheck(what).check(value);
  const payload = codec.encode(stringify(value, what));
  if (payload.length > MAX_PAYLOAD_LENGTH) {
    throw new LimitExceededError("payload", MAX_PAYLOAD_LENGTH, payload.length, what);
  }
  if (codec !== jsonCodec) checkText(payload, what);
  return payload;
}

/** Values that are another thing each time they are read pass the check, and may fail here. */
function stringify(value: unknown, what: string): string {
  let json: unknown;
  try {
    json = JSON.stringify(value);
  } catch (cause) {
    throw refuse(what, [], "another value at each reading", "send plain data", cause);
  }
  if (typeof json === "string") return json;
  throw refuse(what, [], "another value at each reading", "send plain data");
}

/** JSON text is always fit to be stored; what another codec made of it may be bytes in the clothes of text. */
function checkText(payload: Payload, what: string): void {
  const hint = "let its codec encode bytes as base64";
  if (payload.includes("\0")) throw refuse(what, [], "encoded as text that holds U+0000", hint);
  if (!isWellFormed(payload)) throw refuse(what, [], "encoded as text with half a surrogate pair", hint);
}

/** Decodes a payload that {@link encodeValue} made; no payload is `undefined`. */
export function decodeValue(codec: PayloadCodec, payload: Payload | undefined): unknown {
  return payload === undefined ? undefined : JSON.parse(codec.decode(payload));
}

type Path = readonly (string | number)[];

/** One value's way through the check: says where it cannot travel, and ends where it is too long to. */
class ValueCheck {
  readonly #what: string;
  /** From the value itself to where the check is now. */
  readonly #path: (string | number)[] = [];
  readonly #ancestors: object[] = [];
  /** The JSON is at least this long: what is shared counts each time, so that the walk ends. */
  #length = 0;

  constructor(what: string) {
    this.#what = what;
  }

  check(value: unknown): void {
    this.#count(typeof value === "string" ? value.length + 2 : 1);
    switch (typeof value) {
      case "string":
      case "boolean":
        return;
      case "number":
        if (Number.isFinite(value)) return;
        throw this.#refuse(String(value), "JSON has no such number; send null or a string");
      case "bigint":
        throw this.#refuse("a BigInt", "send it as a string");
      case "function":
        throw this.#refuse("a function", "send data only");
      case "symbol":
        throw this.#refuse("a symbol", "send data only");
      case "undefined":
        throw this.#refuse("undefined in an array", "use null");
      case "object":
        if (value !== null) this.#checkObject(value);
    }
  }

  #checkObject(value: object): void {
    if (this.#ancestors.includes(value))
      throw this.#refuse("a cycle", "send a tree, or IDs in place of references");
    if (this.#ancestors.length >= MAX_VALUE_DEPTH)
      throw this.#refuse(`nesting deeper than ${MAX_VALUE_DEPTH}`, "flatten the value");
    const parts = this.#look(value);
    this.#ancestors.push(value);
    if (typeof parts === "number") {
      for (let index = 0; index < parts; index++) this.#checkPart(value, index);
    } else {
      for (const key of parts) this.#checkPart(value, key);
    }
    this.#ancestors.pop();
  }

  #checkPart(value: object, key: string | number): void {
    this.#path.push(key);
    const part = this.#read(value, key);
    // JSON leaves out what is undefined under a key, but not in an array.
    if (part !== undefined || typeof key === "number") {
      if (typeof key === "string") this.#count(key.length);
      this.check(part);
    }
    this.#path.pop();
  }

  /** An array's length, or an object's keys. Looking may run code of the value's own: a getter, a Proxy's trap. */
  #look(value: object): number | readonly string[] {
    let kind: ReturnType<typeof unplainKind>;
    let parts: number | readonly string[];
    try {
      const isArray = Array.isArray(value);
      kind = isArray ? toJsonKind(value) : unplainKind(value);
      parts = isArray ? value.length : Object.keys(value);
    } catch (cause) {
      throw this.#refuse("an object that throws when looked at", "send plain data", cause);
    }
    if (kind !== undefined) throw this.#refuse(kind.name, kind.hint);
    return parts;
  }

  #read(value: object, key: string | number): unknown {
    try {
      return Reflect.get(value, key);
    } catch (cause) {
      throw this.#refuse("a property that throws when read", "send plain data", cause);
    }
  }

  #count(length: number): void {
    this.#length += length;
    if (this.#length > MAX_PAYLOAD_LENGTH)
      throw new LimitExceededError("payload", MAX_PAYLOAD_LENGTH, this.#length, this.#what);
  }

  #refuse(kind: string, hint: string, cause?: unknown): InvalidValueError {
    return refuse(this.#what, [...this.#path], kind, hint, cause);
  }
}

function unplainKind(value: object): { name: string; hint: string } | undefined {
  const prototype: unknown = Object.getPrototypeOf(value);
  // A plain object of another realm (a vm context, say) has a prototype whose own prototype is null.
  if (prototype === null || prototype === Object.prototype) return toJsonKind(value);
  if (typeof prototype === "object" && Object.getPrototypeOf(prototype) === null) return toJsonKind(value);
  const name = className(value);
  if (name === "Date") return { name: "a Date", hint: "send date.toISOString()" };
  if (name === "Map") return { name: "a Map", hint: "send Object.fromEntries(map) or [...map]" };
  if (name === "Set") return { name: "a Set", hint: "send [...set]" };
  return { name: `an instance of ${name}`, hint: "send a plain object, for example { ...value }" };
}

function toJsonKind(value: object): { name: string; hint: string } | undefined {
  return typeof Reflect.get(value, "toJSON") === "function"
    ? { name: "an object with toJSON", hint: "send what toJSON returns" }
    : undefined;
}

function className(value: object): string {
  try {
    const name: unknown = value.constructor.name;
    return typeof name === "string" && name !== "" ? name : "a class";
  } catch {
    return "a class"; // a hostile `constructor` getter must not replace the error that we are about to throw
  }
}

function refuse(what: string, path: Path, kind: string, hint: string, cause?: unknown): InvalidValueError {
  return new InvalidValueError(what, path, kind, hint, cause);
}
