/** Waits until something holds; fails with what it was where that takes too long. */
export async function until(
  what: string,
  holds: () => Promise<boolean> | boolean,
  milliseconds = 25_000,
): Promise<void> {
  const deadline = Date.now() + milliseconds;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`${what}: not within ${milliseconds} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
