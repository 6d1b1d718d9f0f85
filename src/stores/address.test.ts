import { expect, test } from "vitest";
import { isPostgresUrl, withoutPassword } from "./address.js";

test("a store is one of ours by its scheme", () => {
  expect(["postgres://h/d", "postgresql://h/d"].every(isPostgresUrl)).toBe(true);
  expect(["postgres:h", "sqlite:postgres://h", "memory", "postgress://h"].some(isPostgresUrl)).toBe(false);
});

test("a mistyped store is shown without its password", () => {
  expect(withoutPassword("postgress://ada:se@cret@h/d")).toBe("postgress://…@h/d");
  expect(withoutPassword("postgres:/ada:se@cret@h/d")).toBe("postgres:/…@h/d");
  expect(withoutPassword("postgres:ada:secret@h/d")).toBe("postgres:…@h/d");
  expect(withoutPassword("ada@secret@h/d")).toBe("…@h/d");
  expect(withoutPassword("http//h?code=secret")).toBe("http//h?code=…");
  expect(withoutPassword("pg://h/d?password=secret&x=1")).toBe("pg://h/d?password=…&x=1");
  expect(withoutPassword("sqlight:hub.db")).toBe("sqlight:hub.db");
});
