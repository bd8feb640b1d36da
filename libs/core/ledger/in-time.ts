/** What `work` comes to, or a failure once the milliseconds have passed: what was begun may then still go on. */
export function inTime<T>(work: Promise<T>, milliseconds: number, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), milliseconds);
    work.finally(() => clearTimeout(timer)).then(resolve, reject);
  });
}
