import { pino } from "pino";
import type { LogFields, Logger } from "../core/env.js";
import { printableJsonText } from "./terminal-text.js";

/**
 * Logs for machines: JSON lines on stderr, written at once so that none is lost at the end. What a terminal or
 * another reader would obey, or take for the end of a line, is escaped: JSON allows some of it.
 */
export function jsonLogger(): Logger {
  const stderr = pino.destination({ fd: 2, sync: true });
  const log = pino(
    {
      level: (process.env["TENURE_DEBUG"] ?? "") === "" ? "info" : "debug",
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.errWithCause },
    },
    { write: (line) => stderr.write(printableJsonText(line)) },
  );
  return {
    debug: (message, fields: LogFields = {}) => log.debug(fields, message),
    info: (message, fields: LogFields = {}) => log.info(fields, message),
    warn: (message, fields: LogFields = {}) => log.warn(fields, message),
    error: (message, fields: LogFields = {}) => log.error(fields, message),
  };
}
