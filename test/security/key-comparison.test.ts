// That the key is compared in constant time cannot be measured on a busy machine. That nothing but timingSafeEqual,
// asked with digests, decides can be shown: whatever it says is what the server does.
import { createHash, timingSafeEqual } from "node:crypto";
import { afterAll, expect, test, vi } from "vitest";
import { createHttpHandler } from "../../src/http/index.js";
import { BASE, call, openKit } from "../http-kit.js";

vi.mock(import("node:crypto"), async (original) => {
  const crypto = await original();
  return { ...crypto, timingSafeEqual: vi.fn<typeof crypto.timingSafeEqual>(crypto.timingSafeEqual) };
});

const KEY = "the right key";
const kit = await openKit();
const handler = createHttpHandler(kit.hub, { key: KEY });
afterAll(() => kit[Symbol.asyncDispose]());

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
const statusWith = async (key: string): Promise<number> =>
  (await call(handler, "GET", `${BASE}/instances`, { headers: { "x-functions-key": key } })).status;

test.each([KEY, "", "x", KEY.slice(0, -1), `${KEY}x`, KEY.toUpperCase(), "x".repeat(5000)])(
  "%j is compared as a digest with the key's, once, and by nothing else",
  async (given) => {
    const compare = vi.mocked(timingSafeEqual);
    for (const verdict of [true, false]) {
      compare.mockClear().mockReturnValueOnce(verdict);
      expect(await statusWith(given)).toBe(verdict ? 200 : 401);
      expect(compare.mock.calls).toEqual([[digest(given), digest(KEY)]]);
    }
    expect(await statusWith(given)).toBe(given === KEY ? 200 : 401);
  },
);
