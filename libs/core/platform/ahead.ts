/**
 * What `work` makes of each item, in their order, with `most` of them under way at once: one is answered while the next
 * is worked on. An item is taken only where there is room for it, and a result is given as soon as it stands, whether
 * or not more items have come. Throws what `work` or the source throws.
 */
export async function* workAhead<Item, Result>(
  items: AsyncIterable<Item>,
  work: (item: Item) => Promise<Result>,
  most = 2,
): AsyncGenerator<Result> {
  const source = items[Symbol.asyncIterator]();
  const underWay: Promise<Result>[] = [];
  let next: Promise<IteratorResult<Item>> | undefined = handled(source.next());
  try {
    while (next || underWay.length > 0) {
      const [first] = underWay;
      const more: IteratorResult<Item> | void =
        next && underWay.length < most
          ? await Promise.race(first ? [next, first.then(() => undefined)] : [next])
          : undefined;
      if (more?.done === true) next = undefined;
      else if (more) {
        underWay.push(handled(work(more.value)));
        next = handled(source.next());
      } else {
        yield (await first) as Awaited<Result>;
        void underWay.shift();
      }
    }
  } finally {
    // A source that waits for its own next item ends when that comes; nobody waits for it here.
    source.return?.()?.catch(() => undefined);
  }
}

/** Awaited later: until then its failure must not count as unhandled. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
