import { z } from "zod";

/** What a process that tries a mutant says to the one that started it. */
const report = z.discriminatedUnion("kind", [
  /** Next it does this: should it die or hang, that is what it died of. */
  z.object({ kind: z.literal("trying"), where: z.string() }),
  /** This went well, by its number. Said only where everything is tried. */
  z.object({ kind: z.literal("passed"), number: z.number() }),
  /** A check failed. */
  z.object({ kind: z.literal("caught"), group: z.string(), where: z.string(), check: z.string() }),
  /** There is nothing left to try. */
  z.object({ kind: z.literal("through"), tried: z.number() }),
]);

export type Report = z.infer<typeof report>;

export function readReport(message: unknown): Report {
  return report.parse(message);
}

/** Something to try. Of one group, nothing more is tried once something of it has failed. */
export interface Attempt {
  readonly group: string;
  /** What it is called in its group. */
  readonly where: string;
  /** What failed, or nothing. */
  readonly run: () => Promise<string | undefined>;
}

/** What is tried: `first`, until something fails; `all`, whatever fails; or only what has these numbers. */
export type Choice = "first" | "all" | ReadonlySet<number>;

/** As it stands among the arguments of a process. */
export function choiceOf(argument: string | undefined): Choice {
  if (argument === undefined || argument === "first" || argument === "all") return argument ?? "first";
  return new Set(argument.split(",").map(Number));
}

/** Tries one thing after the other, and tells of it. */
export async function tryEach(attempts: Iterable<Attempt>, choice: Choice): Promise<void> {
  const over = new Set<string>();
  let tried = 0;
  let number = 0;
  for (const { group, where, run } of attempts) {
    number += 1;
    if (over.has(group) || (typeof choice === "object" && !choice.has(number))) continue;
    await tell({ kind: "trying", where: `${group}: ${where}` });
    tried += 1;
    const check = await run();
    if (check !== undefined) await tell({ kind: "caught", group, where, check });
    if (check !== undefined && choice !== "all") over.add(group);
    if (check === undefined && choice === "all") await tell({ kind: "passed", number });
  }
  await tell({ kind: "through", tried });
}

/** Resolves once the message has left the process, so that it may end. */
function tell(message: Report): Promise<void> {
  return new Promise((resolve, reject) => {
    if (process.send === undefined) {
      console.log(JSON.stringify(message));
      resolve();
    } else {
      process.send(message, (error) => {
        if (error === null) resolve();
        else reject(error);
      });
    }
  });
}
