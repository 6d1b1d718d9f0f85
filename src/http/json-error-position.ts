/**
 * Where a text that JSON.parse refused stops being JSON; its length where it ends too early. V8 names the
 * place in some of its messages only, and in words that change.
 */
export function jsonErrorPosition(text: string): number {
  const closers: string[] = [];
  let at = 0;
  let expected: "value" | "valueOrClose" | "key" | "keyOrClose" | "colon" | "commaOrClose" | "end" = "value";
  for (;;) {
    at = skip(text, at, /[ \t\n\r]/);
    const char = text[at];
    if (char === undefined) return at;
    const closes = closers.length > 0 && char === closers.at(-1);
    switch (expected) {
      case "keyOrClose":
      case "valueOrClose":
      case "commaOrClose":
        if (closes) {
          closers.pop();
          expected = closers.length === 0 ? "end" : "commaOrClose";
          at += 1;
          continue;
        }
        break;
      case "colon":
        if (char !== ":") return at;
        expected = "value";
        at += 1;
        continue;
      case "end":
        return at;
      case "key":
      case "value":
        break;
    }
    if (expected === "commaOrClose") {
      if (char !== ",") return at;
      expected = closers.at(-1) === "}" ? "key" : "value";
      at += 1;
      continue;
    }
    if (expected === "key" || expected === "keyOrClose") {
      if (char !== '"') return at;
      const end = stringEnd(text, at);
      if (typeof end === "object") return end.wrongAt;
      expected = "colon";
      at = end;
      continue;
    }
    if (char === "{" || char === "[") {
      closers.push(char === "{" ? "}" : "]");
      expected = char === "{" ? "keyOrClose" : "valueOrClose";
      at += 1;
      continue;
    }
    const end = char === '"' ? stringEnd(text, at) : scalarEnd(text, at);
    if (typeof end === "object") return end.wrongAt;
    expected = closers.length === 0 ? "end" : "commaOrClose";
    at = end;
  }
}

type End = number | { readonly wrongAt: number };

function stringEnd(text: string, start: number): End {
  for (let at = start + 1; at < text.length; at++) {
    const char = text.charAt(at);
    if (char === '"') return at + 1;
    if (char < " ") return { wrongAt: at };
    if (char !== "\\") continue;
    const escape = text.charAt(at + 1);
    if (escape === "u") {
      const digits = skip(text, at + 2, /[\da-f]/i, 4);
      if (digits < at + 6) return { wrongAt: digits };
      at += 5;
    } else {
      if (!/["\\/bfnrt]/.test(escape)) return { wrongAt: at + 1 };
      at += 1;
    }
  }
  return { wrongAt: text.length };
}

function scalarEnd(text: string, start: number): End {
  for (const word of ["true", "false", "null"]) {
    if (text[start] !== word[0]) continue;
    let length = 0;
    while (length < word.length && text[start + length] === word[length]) length += 1;
    return length === word.length ? start + length : { wrongAt: start + length };
  }
  return numberEnd(text, start);
}

function numberEnd(text: string, start: number): End {
  const sign = text[start] === "-" ? start + 1 : start;
  let at = text[sign] === "0" ? sign + 1 : skip(text, sign, /\d/);
  if (at === sign) return { wrongAt: at };
  if (text[at] === ".") {
    const digits = skip(text, at + 1, /\d/);
    if (digits === at + 1) return { wrongAt: digits };
    at = digits;
  }
  if (text[at] === "e" || text[at] === "E") {
    const exponent = /[+-]/.test(text.charAt(at + 1)) ? at + 2 : at + 1;
    const digits = skip(text, exponent, /\d/);
    if (digits === exponent) return { wrongAt: digits };
    at = digits;
  }
  return at;
}

function skip(text: string, start: number, kind: RegExp, most = Number.POSITIVE_INFINITY): number {
  let at = start;
  while (at < text.length && at - start < most && kind.test(text.charAt(at))) at += 1;
  return at;
}
