import { describe, expect, it } from "vitest";
import {
  EngineFaultError,
  StoreClosedError,
  StoreConflictError,
  StoreUnusableError,
} from "../../core/errors.js";
import { DatabaseFault, type FaultKind, publicErrorOf } from "./fault.js";

const STORE = "postgres://db:5432/app/tenure";

const serverError = (code: string, message = "so it is"): Error =>
  Object.assign(new Error(message), { severity: "ERROR", code });
/** What Node says where the other side hangs up while TLS is being agreed upon. */
const hungUp = (code: string): Error =>
  Object.assign(
    new Error("Client network socket disconnected before secure TLS connection was established"),
    {
      code,
    },
  );
const systemError = (code: string): Error => Object.assign(new Error(`connect ${code}`), { code });

describe("a fault of the database", () => {
  it.each<[FaultKind, Error]>([
    ["contention", serverError("40001")],
    ["contention", serverError("40P01")],
    ["lost", serverError("57P01")],
    ["lost", serverError("57P03")],
    ["lost", serverError("08006")],
    ["lost", serverError("53300")],
    ["lost", serverError("25006")],
    ["lost", serverError("25P03")],
    ["lost", serverError("25P04")],
    ["lost", serverError("40003")],
    ["lost", serverError("0A000", "cached plan must not change result type")],
    ["lost", systemError("ECONNREFUSED")],
    ["lost", systemError("EPIPE")],
    ["lost", new Error("Connection terminated unexpectedly")],
    ["lost", new Error("Query read timeout")],
    ["lost", new AggregateError([systemError("ECONNREFUSED")])],
    ["lost", hungUp("ECONNRESET")],
    ["lost", new AggregateError([hungUp("ETIMEDOUT")])],
    ["lost", new Error("There was an error establishing an SSL connection")],
    ["conflict", serverError("53100")],
    ["conflict", serverError("57014")],
    ["conflict", serverError("55P03")],
    ["conflict", serverError("XX000", "server is being replaced")],
    ["unusable", serverError("28P01")],
    ["unusable", serverError("3D000")],
    ["unusable", serverError("42501")],
    ["unusable", serverError("26000")],
    ["unusable", serverError("XX001")],
    ["unusable", new Error("SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string")],
    [
      "unusable",
      Object.assign(new Error("self-signed certificate"), { code: "DEPTH_ZERO_SELF_SIGNED_CERT" }),
    ],
    ["unusable", Object.assign(new Error("write EPROTO: SSL routines: wrong version"), { code: "EPROTO" })],
    ["unusable", new Error("The server does not support SSL connections")],
    ["engine", serverError("42601")],
    ["engine", serverError("22021")],
    ["engine", new TypeError("x is not a function")],
  ])("is sorted as %s: %s", (kind, error) => {
    expect(new DatabaseFault(error).kind).toBe(kind);
  });

  it("becomes the public error that says what can be done, with what the driver said as its cause", () => {
    const cases = [
      ["40P01", StoreConflictError, "Try again"],
      ["53100", StoreConflictError, "Free some space"],
      ["57014", StoreConflictError, "canceled"],
      ["28P01", StoreUnusableError, "Check user, password"],
      ["3D000", StoreUnusableError, "createdb"],
      ["42501", StoreUnusableError, "Grant"],
      ["42P01", StoreUnusableError, "tenure db migrate"],
      ["26000", StoreUnusableError, "?pooled=true"],
      ["42601", EngineFaultError, "unexpectedly"],
    ] as const;
    for (const [code, type, advice] of cases) {
      const cause = serverError(code);
      const error = publicErrorOf(new DatabaseFault(cause), STORE);
      expect(error).toBeInstanceOf(type);
      expect(error.message).toContain(advice);
      expect(error.message).toContain(STORE);
      expect(error.cause).toBe(cause);
    }
  });

  it("leaves public errors as they are, and takes everything unknown for a fault of ours", () => {
    const closed = new StoreClosedError();
    expect(publicErrorOf(closed, STORE)).toBe(closed);
    expect(publicErrorOf(new RangeError("out"), STORE)).toBeInstanceOf(EngineFaultError);
    expect(publicErrorOf("what?", STORE)).toBeInstanceOf(EngineFaultError);
  });
});
