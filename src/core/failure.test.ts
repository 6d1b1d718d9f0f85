import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InstanceHeldError, TaskFailedError } from "./errors.js";
import { describeFailure, isFailure, MAX_FAILURE_TEXT } from "./failure.js";
import { reviveError } from "./revive.js";

const holder = {
  instanceId: "x",
  name: "n",
  executionId: "e",
  run: 1,
  generation: 1,
  runtimeStatus: "Running",
  sinceMs: 5,
  lastProgressMs: 6,
} as const;

describe("describeFailure", () => {
  test("describes whatever is thrown, as data that can be stored", () => {
    fc.assert(
      fc.property(
        fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true }),
        (thrown) => {
          const failure = describeFailure(thrown);
          expect(isFailure(failure)).toBe(true);
          expect(failure.type).not.toBe("");
          expect(JSON.parse(JSON.stringify(failure))).toEqual(failure);
        },
      ),
    );
  });

  test("clips what is too long", () => {
    const failure = describeFailure(new Error("x".repeat(3 * MAX_FAILURE_TEXT)));
    expect(failure.message).toHaveLength(MAX_FAILURE_TEXT + 1);
    expect(failure.stack?.length).toBeLessThanOrEqual(MAX_FAILURE_TEXT + 1);
  });

  test("keeps a bounded number of causes", () => {
    let error = new Error("root");
    for (let depth = 0; depth < 1000; depth++) error = new Error(String(depth), { cause: error });
    let failures = 0;
    for (
      let at: ReturnType<typeof describeFailure> | undefined = describeFailure(error);
      at !== undefined;
      at = at.inner
    )
      failures += 1;
    expect(failures).toBe(9);
  });

  test("is the same again after a revival, however often", () => {
    const first = describeFailure(new TypeError("middle", { cause: new RangeError("root") }));
    expect(describeFailure(reviveError(first))).toEqual(first);
    expect(describeFailure(reviveError(describeFailure(reviveError(first))))).toEqual(first);
  });
});

describe("a revived error", () => {
  test.each([Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError])(
    "is a %o again",
    (Class) => {
      const error = reviveError(describeFailure(new Class("why")));
      expect(error).toBeInstanceOf(Class);
      expect(error.message).toBe("why");
    },
  );

  test("is an InstanceHeldError with its holder", () => {
    const error = reviveError(describeFailure(new InstanceHeldError(holder)));
    expect(error).toBeInstanceOf(InstanceHeldError);
    expect(error).toMatchObject({ holder });
  });

  test("is a TaskFailedError with its failure", () => {
    const failure = describeFailure(new RangeError("inside"));
    const error = reviveError(describeFailure(new TaskFailedError("work", 3, failure)));
    expect(error).toBeInstanceOf(TaskFailedError);
    expect(error).toMatchObject({
      taskId: 3,
      failure,
      message: "'work' (task 3) failed: RangeError: inside",
    });
  });

  test.each(["constructor", "__proto__", "toString", "hasOwnProperty"])("of type %s is no trap", (type) => {
    const error = reviveError({ type, message: "m" });
    expect(error).toBeInstanceOf(Error);
    expect(error.name).toBe(type);
  });
});
