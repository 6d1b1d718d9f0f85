import { MAX_INSTANCE_ID_LENGTH } from "../../src/core/instance-id.js";
import { TRICKY_IDS } from "../../src/stores/conformance/instance-ids.js";

/** An instance ID and the one verdict that every door must give on it. */
export interface IdRow {
  readonly id: string;
  /** Why it is refused, as the error says; absent: it is accepted. */
  readonly refused?: string;
}

const LONG = MAX_INSTANCE_ID_LENGTH;

const REFUSED: Readonly<Record<string, readonly string[]>> = {
  "it is empty": [""],
  "it is longer than 256 characters": [
    "x".repeat(LONG + 1),
    "漢".repeat(LONG + 1),
    "🦀".repeat(LONG / 2 + 1),
    `${"🦀".repeat(LONG / 2)}x`,
    "x".repeat(1_000_000),
  ],
  "it is not well-formed Unicode": [
    "\ud83e",
    "\udd80",
    "a\ud83e",
    "\ud83eb",
    "\udd80\ud83e",
    "\ud83e\ud83e\udd80",
  ],
  "it contains a control character": [
    "\0",
    "a\0b",
    "order\0",
    "\u0001",
    "\t",
    "a\nb",
    "a\r\nb",
    "\u001b[31mred",
    "\u007f",
    "\u0080",
    "\u0085",
    "\u009b31m",
    "\u009f",
  ],
  "it contains one of / \\ # ?": [
    "/",
    "\\",
    "#",
    "?",
    "a/b",
    "a\\b",
    "a#b",
    "a?b",
    "../etc/passwd",
    "..\\windows",
    "/order",
    "order/",
    "a/./b",
    "//",
    "?taskHub=other",
    "order#1",
    "\\0",
    "\\u0000",
    "@/",
  ],
  'it is "." or ".."': [".", ".."],
  'it starts with "@", which is reserved': ["@", "@counter@a", "@@", "@order", "@ order", "@🦀"],
};

/** Over 200 IDs: those of the conformance suite that look alike, and those that no door may let in. */
export const ID_TABLE: readonly IdRow[] = [
  ...TRICKY_IDS.map((id) => ({ id })),
  ...Object.entries(REFUSED).flatMap(([rule, ids]) => ids.map((id) => ({ id, refused: rule }))),
];
