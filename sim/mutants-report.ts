import { z } from "zod";

/** What a process that tries a mutant says to the one that started it. */
const report = z.discriminatedUnion("kind", [
  /** Next it does this: should it die or hang, that is what it died of. */
  z.object({ kind: z.literal("trying"), where: z.string() }),
  /** A check failed. */
  z.object({ kind: z.literal("caught"), where: z.string(), check: z.string() }),
  /** Everything was tried, nothing failed. */
  z.object({ kind: z.literal("through"), tried: z.number() }),
]);

export type Report = z.infer<typeof report>;

export function readReport(message: unknown): Report {
  return report.parse(message);
}

/** Resolves once the message has left the process, so that it may end. */
export function tell(message: Report): Promise<void> {
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
