/** Whether a text holds a C0 or C1 control character: such text forges log lines and terminal output. */
export function hasControlCharacter(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return /[\u0000-\u001f\u007f-\u009f]/.test(text);
}

/**
 * `String.prototype.isWellFormed`, which the ES2023 library does not declare. Two ill-formed texts can
 * become one key in a database.
 */
export function isWellFormed(text: string): boolean {
  return !/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(text);
}
