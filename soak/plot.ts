import { type SoakRecord, turnRates } from "./report.js";
import { quantile } from "./statistics.js";

const WIDTH = 860;
const LEFT = 70;
const RIGHT = 130;
const PANEL = 130;
const GAP = 50;
const MB = 2 ** 20;

interface Line {
  readonly name: string;
  /** A number of the palette. */
  readonly colour: 1 | 2 | 3;
  readonly values: readonly number[];
}

interface Panel {
  readonly title: string;
  readonly lines: readonly Line[];
}

/** Readable on white and on black; colours differ in brightness, too. */
const STYLE = `
  svg { color: #222; background: #fff; font: 12px system-ui, sans-serif }
  text { fill: currentColor } .axis { stroke: currentColor; opacity: .25 } .kill { stroke: #c0392b; stroke-dasharray: 3 3 }
  .line { fill: none; stroke-width: 1.5 } .c1 { stroke: #1f5fa8 } .c2 { stroke: #c77700 } .c3 { stroke: #2a8a57 }
  @media (prefers-color-scheme: dark) {
    svg { color: #ddd; background: #16181c } .c1 { stroke: #7db4f0 } .c2 { stroke: #f0b45a } .c3 { stroke: #7fd6a6 }
    .kill { stroke: #ff8a7a }
  }`;

/** What was seen over virtual time, as an SVG picture; kills are dashed lines. */
export function plot({ samples, kills, speed, beganAt }: SoakRecord): string {
  const late = (share: number): number[] =>
    samples.map(({ lateness: { steady } }) => (quantile(steady, share) ?? 0) / speed);
  const panels: readonly Panel[] = [
    {
      title: "resident memory, MB",
      lines: [{ name: "resident", colour: 1, values: samples.map(({ rssBytes }) => rssBytes / MB) }],
    },
    {
      title: "heap after a collection, MB",
      lines: [
        { name: "heap", colour: 2, values: samples.map(({ heapBytes }) => heapBytes / MB) },
        { name: "external", colour: 3, values: samples.map(({ externalBytes }) => externalBytes / MB) },
      ],
    },
    {
      title: "file, MB",
      lines: [
        { name: "file", colour: 1, values: samples.map(({ fileBytes }) => fileBytes / MB) },
        { name: "used", colour: 2, values: samples.map(({ usedBytes }) => usedBytes / MB) },
        { name: "log", colour: 3, values: samples.map(({ logBytes }) => logBytes / MB) },
      ],
    },
    {
      title: "turns per real second",
      lines: [{ name: "turns", colour: 1, values: turnRates(samples) }],
    },
    {
      title: "instances in the file",
      lines: [{ name: "instances", colour: 1, values: samples.map(({ instances }) => instances) }],
    },
    {
      title: "timers late, real ms",
      lines: [
        { name: "p99", colour: 2, values: late(0.99) },
        { name: "p50", colour: 1, values: late(0.5) },
      ],
    },
  ];
  const times = samples.map(({ realMs }) => realMs);
  const endMs = times.at(-1) ?? 1;
  const x = (ms: number): string => (LEFT + (ms / endMs) * (WIDTH - LEFT - RIGHT)).toFixed(1);
  const height = panels.length * (PANEL + GAP) + 60;
  const drawn = panels.map((panel, n) => drawPanel(panel, times, 50 + n * (PANEL + GAP), x));
  const bottom = height - 40;
  const killed = kills.map((ms) => `<path class="kill" d="M${x(ms)} 40V${bottom}"/>`);
  const hours = (endMs * speed) / 3_600_000;
  const ticks = [0, 0.25, 0.5, 0.75, 1].map(
    (share) =>
      `<text x="${x(share * endMs)}" y="${bottom + 18}" text-anchor="middle">${(share * hours).toFixed(1)} h</text>`,
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img">`,
    `<title>Soak of ${beganAt.toISOString().slice(0, 10)}</title><style>${STYLE}</style>`,
    `<text x="${LEFT}" y="20">Soak of ${beganAt.toISOString().slice(0, 10)}, over virtual hours; dashed: killed</text>`,
    ...drawn,
    ...killed,
    ...ticks,
    "</svg>\n",
  ].join("\n");
}

function drawPanel(
  { title, lines }: Panel,
  times: readonly number[],
  top: number,
  x: (ms: number) => string,
): string {
  const most = Math.max(...lines.flatMap(({ values }) => values), Number.MIN_VALUE);
  const y = (value: number): string => (top + PANEL - (value / most) * PANEL).toFixed(1);
  const paths = lines.map(({ values, colour }) => {
    const points = values.map((value, n) => `${x(times[n] ?? 0)} ${y(value)}`);
    return `<path class="line c${colour}" d="M${points.join("L")}"/>`;
  });
  const right = WIDTH - RIGHT;
  const legend = lines.map(
    ({ name, colour, values }, n) =>
      `<path class="line c${colour}" d="M${right + 10} ${top + 8 + n * 18}h16"/>` +
      `<text x="${right + 32}" y="${top + 12 + n * 18}">${name} ≤ ${shown(Math.max(...values))}</text>`,
  );
  return [
    `<text x="${LEFT}" y="${top - 8}">${title}</text>`,
    ...[0, 0.5, 1].map(
      (share) =>
        `<path class="axis" d="M${LEFT} ${y(share * most)}H${right}"/>` +
        `<text x="${LEFT - 8}" y="${Number(y(share * most)) + 4}" text-anchor="end">${shown(share * most)}</text>`,
    ),
    ...paths,
    ...legend,
  ].join("\n");
}

function shown(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en") : value.toFixed(1);
}
