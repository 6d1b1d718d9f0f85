// Whatever a trigger throws, its caller gets an answer, and the log a line.
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Logger } from "../../src/core/env.js";
import { createHttpHandler, type HttpHandler } from "../../src/http/index.js";
import { call, httpTrigger, member } from "../http-kit.js";
import { openTarget, type Target } from "./http-server.js";
import { CODED, THROWN } from "./thrown.js";

const cases: [what: string, make: () => unknown][] = [
  ...THROWN.map(([what, make]): [string, () => unknown] => [what, make]),
  ...CODED.map(([what, make]): [string, () => unknown] => [what, make]),
];

const throws = httpTrigger("Throws", { route: "throws/{index}" }, (_request, { params }) => {
  throw cases[Number(params.index)]?.[1]();
});

const lines: string[] = [];
const log = pino(
  { serializers: { error: pino.stdSerializers.errWithCause } },
  { write: (line) => void lines.push(line) },
);
/** As `tenure serve` logs: what is logged is looked at. */
const logger: Logger = {
  debug: (message, fields) => log.debug(fields, message),
  info: (message, fields) => log.info(fields, message),
  warn: (message, fields) => log.warn(fields, message),
  error: (message, fields) => log.error(fields, message),
};

let target: Target;
let handler: HttpHandler;
beforeAll(async () => {
  target = await openTarget({ store: "memory", functions: [throws], handler: { logger } });
  handler = createHttpHandler(target.hub, { logger });
});
afterEach(() => target.othersGoOn());
afterAll(() => target[Symbol.asyncDispose]());

test.each(cases.map(([what], index) => ({ what, index })))("$what", async ({ index }) => {
  lines.length = 0;
  const answer = await target.ask("GET", `/api/throws/${index}`);
  expect(answer.status).toBeGreaterThanOrEqual(400);
  expect(answer.headers["content-type"]).toBe("application/problem+json");
  expect([member(answer.body, "status"), typeof member(answer.body, "code")]).toEqual([
    answer.status,
    "string",
  ]);
  expect(answer.text.length).toBeLessThan(10_000);
  // What is none of the caller's doing is in the log, once.
  expect(lines.length).toBe(answer.status >= 500 ? 1 : 0);
  // The handler itself never rejects, in whatever server it is mounted.
  expect((await call(handler, "GET", `/api/throws/${index}`)).status).toBe(answer.status);
});

test("a member that an answer can hold is told, one that it cannot is left out", async () => {
  const index = cases.findIndex(([what]) => what === "a limit that is a BigInt");
  const answer = await target.ask("GET", `/api/throws/${index}`);
  expect(answer.status).toBe(413);
  expect(answer.body).toMatchObject({ code: "LimitExceeded", detail: "m" });
  expect(answer.body).not.toHaveProperty("limit");
});

test.each([
  "a revoked Proxy of an error",
  "a trapped Proxy of an error",
  "a code that throws",
  "a code named toString",
])("%s is the trigger's failure, and is told as one", async (name) => {
  const answer = await target.ask("GET", `/api/throws/${cases.findIndex(([what]) => what === name)}`);
  expect(answer.body).toMatchObject({ status: 500, code: "TriggerFailed" });
  expect(member(answer.body, "detail")).toContain("The trigger 'Throws' failed");
});
