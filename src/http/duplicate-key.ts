/** A key that stands twice in one object, and where it stands again. */
export interface DuplicateKey {
  readonly key: string;
  readonly position: number;
}

/**
 * The first key that an object of a JSON text has twice: JSON.parse keeps the last value and says nothing, while
 * whoever looked at the text before us (a proxy, an audit log) may have gone by the first. Keys are compared as
 * they are meant: `"a"` and `"\u0061"` are one.
 *
 * @param json text that JSON.parse takes; in it, a string that a colon follows is a key.
 */
export function duplicateKey(json: string): DuplicateKey | undefined {
  const open: (Set<string> | undefined)[] = []; // what is open: the keys of an object, undefined for a list
  for (let at = 0; at < json.length; at++) {
    const char = json[at];
    if (char === "{") open.push(new Set());
    else if (char === "[") open.push(undefined);
    else if (char === "}" || char === "]") open.pop();
    else if (char === '"') {
      const end = stringEnd(json, at);
      if (followedByColon(json, end)) {
        const key = String(JSON.parse(json.slice(at, end)));
        const keys = open.at(-1);
        if (keys?.has(key) === true) return { key, position: at };
        keys?.add(key);
      }
      at = end - 1;
    }
  }
  return undefined;
}

/** Past the closing quote of the string that begins here. */
function stringEnd(json: string, start: number): number {
  let at = start + 1;
  while (at < json.length && json[at] !== '"') at += json[at] === "\\" ? 2 : 1;
  return at + 1;
}

function followedByColon(json: string, after: number): boolean {
  let at = after;
  while (/[ \t\n\r]/.test(json.charAt(at))) at += 1;
  return json[at] === ":";
}
