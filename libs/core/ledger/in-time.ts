/**
 * What `work` comes to, or a failure once the milliseconds have passed: what was begun may then still go on. They pass
 * anew from `movedAt` (of `performance.now()`) where that says that the work came further.
 */
export function inTime<T>(
  work: Promise<T>,
  milliseconds: number,
  late: () => Error,
  movedAt: () => number = () => -Infinity,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout;
    const wait = (left: number) => {
      timer = setTimeout(() => {
        const more = movedAt() + milliseconds - performance.now();
        if (more > 0) wait(more);
        else reject(late());
      }, left);
    };
    wait(milliseconds);
    work.finally(() => clearTimeout(timer)).then(resolve, reject);
  });
}
