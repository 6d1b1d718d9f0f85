import { WriteStream } from "node:tty";

type Paint = (text: string) => string;

/** The few colours that the CLI uses, or none. */
export interface Style {
  readonly bold: Paint;
  readonly dim: Paint;
  readonly red: Paint;
  readonly green: Paint;
  readonly yellow: Paint;
  readonly cyan: Paint;
}

/** Colours for a terminal; none elsewhere, and none with NO_COLOR (https://no-color.org). */
export function styleFor(stream: NodeJS.WritableStream): Style {
  const coloured =
    isTerminal(stream) && (process.env["NO_COLOR"] ?? "") === "" && process.env["TERM"] !== "dumb";
  const paint = (on: number, off: number): Paint =>
    coloured ? (text) => `\u001b[${on}m${text}\u001b[${off}m` : (text) => text;
  return {
    bold: paint(1, 22),
    dim: paint(2, 22),
    red: paint(31, 39),
    green: paint(32, 39),
    yellow: paint(33, 39),
    cyan: paint(36, 39),
  };
}

export function isTerminal(stream: NodeJS.WritableStream): stream is WriteStream {
  return stream instanceof WriteStream && stream.isTTY;
}
