import { pino } from "pino";
import type { LogFields, Logger } from "../core/env.js";

/** Logs for machines: JSON lines on stderr, written at once so that none is lost at the end. */
export function jsonLogger(): Logger {
  const log = pino(
    {
      level: (process.env["TENURE_DEBUG"] ?? "") === "" ? "info" : "debug",
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.errWithCause },
    },
    pino.destination({ fd: 2, sync: true }),
  );
  return {
    debug: (message, fields: LogFields = {}) => log.debug(fields, message),
    info: (message, fields: LogFields = {}) => log.info(fields, message),
    warn: (message, fields: LogFields = {}) => log.warn(fields, message),
    error: (message, fields: LogFields = {}) => log.error(fields, message),
  };
}
