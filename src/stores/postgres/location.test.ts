import { describe, expect, test } from "vitest";
import { InvalidArgumentError } from "../../core/errors.js";
import { parseLeaseTimes } from "./lease-times.js";
import { parseLocation } from "./location.js";

describe("a PostgreSQL URL", () => {
  test("gives its own parameters to the store and all others to the driver", () => {
    const url =
      "postgres://ada:pw@db.example:6432/jobs?sslmode=require&schema=jobs_v2&pooled=true&application_name=a";
    expect(parseLocation(url)).toEqual({
      connectionString: "postgres://ada:pw@db.example:6432/jobs?sslmode=require&application_name=a",
      schema: "jobs_v2",
      pooled: true,
      leaseTimes: {},
      description: "postgres://db.example:6432/jobs/jobs_v2",
    });
  });

  test("names the schema tenure and no proxy unless it says otherwise", () => {
    expect(parseLocation("postgresql://u:p@h/d")).toEqual({
      connectionString: "postgresql://u:p@h/d",
      schema: "tenure",
      pooled: false,
      leaseTimes: {},
      description: "postgres://h:5432/d/tenure",
    });
  });

  test("may name a socket's folder as host", () => {
    const { connectionString, description } = parseLocation(
      "postgres:///jobs?host=/run/postgresql&pooled=false",
    );
    expect(connectionString).toBe("postgres:///jobs?host=%2Frun%2Fpostgresql");
    expect(description).toBe("postgres:///run/postgresql:5432/jobs/tenure");
  });

  test("keeps escaped characters of user, password and database as they are", () => {
    const url = "postgres://a%40b:p%2F%23%3F%40%3A@h/d%20e";
    const { connectionString, description } = parseLocation(url);
    expect(connectionString).toBe(url);
    expect(description).toBe("postgres://h:5432/d e/tenure");
  });

  test.each(["Tenure", "9lives", "a-b", "a b", 'a"b', "", "pg_mine", "information_schema", "a".repeat(64)])(
    "is refused with the schema %j",
    (schema) => {
      const url = `postgres://u:secret@h/d?schema=${encodeURIComponent(schema)}`;
      expect(() => parseLocation(url)).toThrow(InvalidArgumentError);
      expect(() => parseLocation(url)).toThrow("Use up to 63 of a-z, 0-9 and _");
    },
  );

  test.each(["1", "yes", ""])("is refused with pooled=%s", (pooled) => {
    expect(() => parseLocation(`postgres://u:p@h/d?pooled=${pooled}`)).toThrow("neither true nor false");
  });

  test("may say how long leases last; the driver hears nothing of it", () => {
    const { connectionString, leaseTimes } = parseLocation("postgres://h/d?leaseMs=3000&lateMs=900");
    expect(connectionString).toBe("postgres://h/d");
    expect(leaseTimes).toEqual({ leaseMs: 3000, lateMs: 900 });
    expect(parseLeaseTimes(leaseTimes)).toEqual({ leaseMs: 3000, renewMs: 300, lateMs: 900 });
  });

  test.each([
    ["leaseMs=soon", "leaseMs"],
    ["leaseMs=", "leaseMs"],
    ["leaseMs=-1", "leaseMs"],
    ["leaseMs=1000000", "leaseMs"],
    ["leaseMs=100", "renewMs"],
    ["renewMs=5000", "renewMs"],
    ["renewMs=1000&lateMs=1200", "lateMs"],
    ["lateMs=11000", "lateMs"],
  ])("is refused with leases that cannot be kept: %s", (parameters, named) => {
    expect(() => parseLocation(`postgres://u:secret@h/d?${parameters}`)).toThrow(
      new RegExp(`^${named}: must be whole milliseconds`),
    );
  });

  test.each([
    "postgres://ada:sec#ret@h/d",
    "postgres://ada:12#34@h/d",
    "postgres://ada:sec/ret@h/d",
    "postgres://ada:12/34@h/d",
    "postgres://ada:sec?ret@h/d",
    "postgres://ada:12?34@h/d",
    "postgres://ada:12?34=5@h/d?sslmode=require",
    "postgres://ada:sec%ret@h/d%2",
    "postgres://h:secret",
    "mysql://ada:secret@h/d",
  ])("is refused without a word of it where a password makes it another address: %s", (url) => {
    const message = messageOf(() => parseLocation(url));
    expect(message).toContain("PostgreSQL URL");
    expect(message).not.toMatch(/sec|ret|12|34|ada/);
  });
});

function messageOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof InvalidArgumentError) return error.message;
    throw error;
  }
  return "nothing was thrown";
}
