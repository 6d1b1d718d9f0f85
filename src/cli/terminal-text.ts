/**
 * Characters that a terminal would obey rather than show: C0 and C1 controls (an escape sequence in an
 * orchestration's name could retitle the window or hide a line), and the marks that reorder text.
 */
const OBEYED = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

const SHORT_ESCAPES: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** Data as one line that is safe to print: what a terminal would obey is shown as an escape. */
export function printable(text: string): string {
  return text.replace(OBEYED, (character) => SHORT_ESCAPES[character] ?? unicodeEscape(character));
}

/** Like {@link printable}, but keeps line breaks: for messages of several lines. */
export function printableLines(text: string): string {
  return text
    .split("\n")
    .map((line) => printable(line))
    .join("\n");
}

/** JSON text that is safe to print and means the same: JSON.stringify leaves some of these characters raw. */
export function printableJson(value: unknown): string {
  return printableJsonText(JSON.stringify(value, null, 2));
}

/** {@link printableJson} of what is JSON text already; line breaks between its parts stay. */
export function printableJsonText(json: string): string {
  return json
    .split("\n")
    .map((line) => line.replace(OBEYED, unicodeEscape))
    .join("\n");
}

function unicodeEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
