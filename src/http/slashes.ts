/** A path without the slashes at its end. A pattern for them would be tried anew at each slash of a long row. */
export function withoutTrailingSlashes(path: string): string {
  let end = path.length;
  while (path[end - 1] === "/") end -= 1;
  return path.slice(0, end);
}
