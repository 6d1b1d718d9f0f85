/** Somebody waited in vain. */
export class LateError extends Error {}

/**
 * What a promise brings, if it does so in time; a LateError with this message otherwise. What it brings later goes to
 * `late`, and an error that comes later to nobody. Without a limit (0) it is waited for as long as it takes.
 */
export async function inTime<T>(
  promise: Promise<T>,
  limitMs: number,
  message: string,
  late: (value: T) => void = () => {},
): Promise<T> {
  if (limitMs === 0) return promise;
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      // Where this process stood still, what has come in the meantime is about to be read.
      setImmediate(() => {
        reject(new LateError(message));
      });
    }, limitMs);
  });
  try {
    return await Promise.race([promise, tooLate]);
  } catch (error) {
    if (error instanceof LateError) promise.then(late, () => {});
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
