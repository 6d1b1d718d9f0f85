// Bodies that are too large, too deep, ambiguous, or not what they say they are, over a real socket.
import { fork } from "node:child_process";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { BASE, httpTrigger, member } from "../http-kit.js";
import { openTarget, reasonOf, type Sent, type Target } from "./http-server.js";

const START = `${BASE}/orchestrators/Echo`;
const MIB = 1024 * 1024;
const trigger = httpTrigger("Body", { methods: ["POST"] }, async (_request, { json }) => ({
  got: await json(),
}));

let target: Target;
beforeAll(async () => {
  target = await openTarget({ functions: [trigger] });
});
afterEach(() => target.othersGoOn());
afterAll(() => target[Symbol.asyncDispose]());

/** Every door that reads a body. */
const doors: [method: string, path: string][] = [
  ["POST", START],
  ["POST", `${BASE}/instances/x/raiseEvent/e`],
  ["PUT", `${BASE}/retention`],
  ["POST", "/api/Body"],
];

describe.each(doors)("%s %s refuses", (method, path) => {
  const deep = (levels: number): string => "[".repeat(levels) + "]".repeat(levels);
  const type = (value: string) => ({ "content-type": value });

  test.each<[what: string, sent: Sent, status: number, code: string, detail: RegExp]>([
    ["10 MB", { body: `"${"x".repeat(10 * MIB)}"` }, 413, "BodyTooLarge", /larger than 1048576 bytes/],
    ["a byte above the limit", { body: `"${"x".repeat(MIB - 1)}"` }, 413, "BodyTooLarge", /1048576/],
    ["10 MB in spaces", { body: " ".repeat(10 * MIB) }, 413, "BodyTooLarge", /1048576/],
    [
      "a million open lists",
      { body: "[".repeat(1_000_000) },
      400,
      "InvalidJson",
      /deeper than 64.*position 64/,
    ],
    ["half a million lists", { body: deep(500_000) }, 400, "InvalidJson", /deeper than 64/],
    [
      "a deep object",
      { body: `${'{"a":'.repeat(1000)}1${"}".repeat(1000)}` },
      400,
      "InvalidJson",
      /deeper than 64/,
    ],
    ["half of JSON", { body: '{"a":' }, 400, "InvalidJson", /ends too early at position 5/],
    ["a comma too many", { body: "[1,\n2,]" }, 400, "InvalidJson", /position 6 \(line 2 column 3\)/],
    ["NaN", { body: "NaN" }, 400, "InvalidJson", /unexpected "N" at position 0/],
    ["two values", { body: "1 2" }, 400, "InvalidJson", /position 2/],
    ["a bare NUL", { body: "\0" }, 400, "InvalidJson", /unexpected "\\u0000" at position 0/],
    ["a NUL in a string", { body: '"a\0b"' }, 400, "InvalidJson", /position 2/],
    [
      "a key twice",
      { body: '{"a":1,"b":{},"a":2}' },
      400,
      "InvalidJson",
      /key "a".*second time at position 14/,
    ],
    ["a key twice, once escaped", { body: '{"a":1,"\\u0061":2}' }, 400, "InvalidJson", /position 7/],
    ["__proto__ twice", { body: '[{"__proto__":{},"__proto__":{}}]' }, 400, "InvalidJson", /"__proto__"/],
    ["ill-formed UTF-8", { body: Buffer.from([0x22, 0xc3, 0x28, 0x22]) }, 400, "InvalidJson", /not UTF-8/],
    [
      "a surrogate in UTF-8",
      { body: Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]) },
      400,
      "InvalidJson",
      /not UTF-8/,
    ],
    ["overlong UTF-8", { body: Buffer.from([0x22, 0xc0, 0xaf, 0x22]) }, 400, "InvalidJson", /not UTF-8/],
    ["UTF-16", { body: Buffer.from("\ufeff[1]", "utf16le") }, 400, "InvalidJson", /not UTF-8/],
    [
      "a form",
      { body: "a=1", headers: type("application/x-www-form-urlencoded") },
      415,
      "UnsupportedMediaType",
      /json/,
    ],
    [
      "text, as a page may send",
      { body: "1", headers: type("text/plain") },
      415,
      "UnsupportedMediaType",
      /json/,
    ],
    [
      "many parts",
      { body: "1", headers: type("multipart/form-data; boundary=x") },
      415,
      "UnsupportedMediaType",
      /json/,
    ],
    [
      "two types",
      { body: "1", headers: type("application/json, text/plain") },
      415,
      "UnsupportedMediaType",
      /json/,
    ],
    ["gzip", { body: "1", headers: { "content-encoding": "gzip" } }, 415, "UnsupportedMediaType", /gzip/],
    ["no type at all", { body: "1", headers: type("") }, 415, "UnsupportedMediaType", /json/],
  ])("%s", async (_what, sent, status, code, detail) => {
    const answer = await target.ask(method, path, sent);
    expect(reasonOf(answer)).toEqual([status, code]);
    expect(member(answer.body, "detail")).toMatch(detail);
  });
});

describe("what is odd and yet JSON is kept as it came", () => {
  test.each([
    ["a lone surrogate", '"\\ud800"'],
    ["a pair the wrong way round", '"\\udc00\\ud800"'],
    ["an escaped NUL", '"a\\u0000b"'],
    ["an escaped NUL in a key", '{"a\\u0000b":1}'],
    ["__proto__", '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}'],
    ["toJSON", '{"toJSON":"x","then":"y","valueOf":1,"hasOwnProperty":2}'],
    ["one key in several objects", '[{"a":1},{"a":{"a":{"a":2}}}]'],
    ["keys that differ by case", '{"a":1,"A":2}'],
    ["a colon and quotes in strings", '{"a\\":":"\\":1,\\"a","b":"a\\\\"}'],
    ["the largest number", "1.7976931348623157e+308"],
    ["64 levels", "[".repeat(64) + "]".repeat(64)],
  ])("%s", async (_what, body) => {
    const answer = await target.ask("POST", `${START}?timeout=20`, { body });
    expect([answer.status, answer.text]).toEqual([200, body]);
    expect(Reflect.get({}, "polluted")).toBeUndefined();
  });

  test("as an event's data", async () => {
    const started = await target.ask("POST", `${BASE}/orchestrators/Waiter/odd-event`);
    expect(started.status).toBe(202);
    const body = '{"__proto__":{"polluted":true},"\\ud800":"\\u0000"}';
    const raised = await target.ask("POST", `${BASE}/instances/odd-event/raiseEvent/go`, { body });
    expect(raised.status).toBe(202);
    await target.hub.client.waitForCompletion("odd-event", { timeoutMs: 20_000 });
    const status = await target.ask(
      "GET",
      `${BASE}/instances/odd-event?showHistory=true&showHistoryOutput=true`,
    );
    expect(status.text).toContain(`"output":${body}`);
  });
});

describe("a body of unknown length", () => {
  const head = (path: string): string =>
    `POST ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n`;
  const chunks = (count: number): string => `10000\r\n${"[".repeat(0x10000)}\r\n`.repeat(count);

  test.each([START, "/api/Body"])("is refused at %s once it is too large", async (path) => {
    const answer = await target.raw(`${head(path)}Transfer-Encoding: chunked\r\n\r\n`, chunks(24));
    expect(answer).toMatch(/^HTTP\/1.1 413 /);
    expect(answer).toContain('"code":"BodyTooLarge"');
  });

  test("may come in chunks of one byte with extensions and trailers", async () => {
    const bytes = "[1,2]"
      .split("")
      .map((byte) => `1;x="${"y".repeat(50)}"\r\n${byte}\r\n`)
      .join("");
    const answer = await target.raw(
      `${head(`${START}?timeout=20`)}Transfer-Encoding: chunked\r\n\r\n${bytes}0\r\nX: y\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1.1 200 [^]*\r\n\r\n\[1,2\]$/);
  });

  test("that breaks off starts nothing", async () => {
    const before = await target.hub.client.list({ name: "Echo", top: 1000 });
    await new Promise<void>((resolve) => {
      const socket = connect(target.server.port, "127.0.0.1", () => {
        socket.write(`${head(START)}Content-Length: 10\r\n\r\n[1`, () => socket.destroy());
      });
      socket.on("close", () => resolve());
    });
    await target.othersGoOn();
    const after = await target.hub.client.list({ name: "Echo", top: 1000 });
    expect(after.instances.length).toBe(before.instances.length + 1);
  });
});

describe("memory", () => {
  const MB = 1_000_000;
  const AT_ONCE = 40;

  // 400 MB are sent. Held in memory they would show; what one socket has in its buffers does not.
  test.each(["declared", "chunked"])("does not grow with bodies of 10 MB, %s", async (how) => {
    const child = fork(fileURLToPath(new URL("http-serving.mjs", import.meta.url)), {
      execArgv: ["--expose-gc"],
    });
    try {
      const port = Number(await message(child));
      await Promise.all(Array.from({ length: 4 }, () => sendLarge(port, 2 * MB, how))); // warm
      const before = await highest(child);
      const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => sendLarge(port, 10 * MB, how)));
      // Whoever goes on sending is cut off after half a second, and may lose the answer with it.
      const told = new Set(answers.filter((answer) => answer !== ""));
      expect(told).toEqual(new Set(["HTTP/1.1 413 Payload Too Large"]));
      const grown = (await highest(child)) - before;
      console.log(
        `${AT_ONCE} bodies of 10 MB, ${how}: the peak of memory rose by ${Math.round(grown / MB)} MB`,
      );
      expect(grown).toBeLessThan(120 * MB);
    } finally {
      child.kill("SIGKILL");
    }
  });

  function message(child: ReturnType<typeof fork>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      child.once("message", resolve);
      child.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
    });
  }

  /** The most memory that the process ever had, in bytes. */
  async function highest(child: ReturnType<typeof fork>): Promise<number> {
    const told = message(child);
    child.send("memory");
    return Number(await told);
  }

  /** Sends all of it, with heed to backpressure, whatever is answered; gives the first line of the answer. */
  function sendLarge(port: number, size: number, how: string): Promise<string> {
    return new Promise((resolve) => {
      const socket = connect(port, "127.0.0.1");
      const piece = Buffer.alloc(65_536, 0x5b);
      const framed =
        how === "chunked" ? Buffer.concat([Buffer.from("10000\r\n"), piece, Buffer.from("\r\n")]) : piece;
      const length = how === "chunked" ? "Transfer-Encoding: chunked" : `Content-Length: ${size}`;
      let answer = "";
      let sent = 0;
      const more = (): void => {
        while (sent < size && socket.writable) {
          sent += piece.length;
          if (!socket.write(framed)) return;
        }
      };
      socket.setEncoding("latin1").on("data", (data: string) => {
        answer += data;
        if (sent >= size) socket.destroy();
      });
      socket.on("drain", more);
      socket.on("error", () => {}); // the server may have had enough of it
      socket.on("close", () => resolve(answer.split("\r\n")[0] ?? ""));
      socket.write(
        `POST ${START} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${length}\r\n\r\n`,
      );
      more();
    });
  }
});
