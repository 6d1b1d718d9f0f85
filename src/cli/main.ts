#!/usr/bin/env node
import { exitCodeOf } from "./exit-code.js";
import { createProgram } from "./program.js";
import { reportError } from "./report-error.js";

try {
  await createProgram().parseAsync();
} catch (error) {
  await reportError(error);
  process.exitCode = exitCodeOf(error);
}
