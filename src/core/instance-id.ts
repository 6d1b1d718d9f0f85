import { InvalidInstanceIdError } from "./errors.js";
import { hasControlCharacter, isWellFormed } from "./text.js";

/** The longest instance ID, in JavaScript string length. Durable Functions' limit. */
export const MAX_INSTANCE_ID_LENGTH = 256;

/**
 * The one validator of instance IDs, at every door. 1 to 256 characters of well-formed Unicode, no
 * control characters, none of `/ \ # ?`, not `.` or `..`, no leading `@` (reserved for entities and
 * built-ins). IDs are compared byte for byte: case and normalisation matter.
 *
 * @throws InvalidInstanceIdError saying which rule was broken.
 */
export function parseInstanceId(value: unknown): string {
  if (typeof value !== "string") throw new InvalidInstanceIdError(value, "it is not a string");
  const broken = brokenRule(value);
  if (broken !== undefined) throw new InvalidInstanceIdError(value, broken);
  return value;
}

function brokenRule(id: string): string | undefined {
  if (id.length === 0) return "it is empty";
  if (id.length > MAX_INSTANCE_ID_LENGTH) return `it is longer than ${MAX_INSTANCE_ID_LENGTH} characters`;
  if (!isWellFormed(id)) return "it is not well-formed Unicode";
  if (hasControlCharacter(id)) return "it contains a control character";
  if (/[/\\#?]/.test(id)) return "it contains one of / \\ # ?";
  if (id === "." || id === "..") return 'it is "." or ".."';
  if (id.startsWith("@")) return 'it starts with "@", which is reserved';
  return undefined;
}
