import type { LogFields, Logger } from "../core/env.js";
import { type Style, styleFor } from "./style.js";
import { printable, printableLines } from "./terminal-text.js";

type Level = "debug" | "info" | "warn" | "error";

/** Logs for people: a line each, time first, data escaped. Shows debug messages with TENURE_DEBUG set. */
export function readableLogger(stream: NodeJS.WritableStream): Logger {
  const style = styleFor(stream);
  const write = (level: Level, message: string, fields: LogFields = {}): void => {
    stream.write(
      `${style.dim(clock(new Date()))} ${mark(style, level)} ${printable(message)}${text(style, fields)}\n`,
    );
  };
  const showsDebug = (process.env["TENURE_DEBUG"] ?? "") !== "";
  return {
    debug: (message, fields) => {
      if (showsDebug) write("debug", message, fields);
    },
    info: (message, fields) => write("info", message, fields),
    warn: (message, fields) => write("warn", message, fields),
    error: (message, fields) => write("error", message, fields),
  };
}

function clock(at: Date): string {
  const two = (n: number): string => String(n).padStart(2, "0");
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}

function mark(style: Style, level: Level): string {
  switch (level) {
    case "debug":
      return style.dim("debug");
    case "info":
      return style.green("info ");
    case "warn":
      return style.yellow("warn ");
    case "error":
      return style.red("error");
  }
}

/** Fields after the message; an error goes below, with its stack. */
function text(style: Style, fields: LogFields): string {
  let inline = "";
  let below = "";
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    if (value instanceof Error) below += `\n${indented(value.stack ?? String(value))}`;
    else inline += ` ${style.dim(`${printable(key)}=`)}${printable(valueText(value))}`;
  }
  return inline + below;
}

function indented(stack: string): string {
  return printableLines(stack).replace(/^/gm, "  ");
}

function valueText(value: unknown): string {
  if (typeof value === "string") return /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value); // a cycle, or a BigInt: a log line must not fail
  }
}
