import { expect, test } from '@jest/globals';
import { catalogue } from './catalogue.js';
import type { Event } from './event.js';
import { type Handlers, ignored, model } from './model.js';
import type { Pii, Sealed } from './pii.js';

/**
 * What the compiler refuses. Each `@ts-expect-error` is checked by `npm run types`: where the line below it
 * compiles, that check fails.
 */

type Named = Event<
  'Named',
  { readonly name: Pii<string>; readonly nick?: Pii<string>; readonly at: string }
>;
type Closed = Event<'Closed', { readonly reason: string }>;
type Both = Named | Closed;

const says = { en: 'x', de: 'x' };

test('a personal field without a sealing entry does not compile', () => {
  catalogue<Both>({
    Named: { version: 1, sealed: { name: 'identity', nick: 'identity' }, says },
    Closed: { version: 1, says },
  });
  catalogue<Both>({
    // @ts-expect-error nick is personal and has no compartment
    Named: { version: 1, sealed: { name: 'identity' }, says },
    Closed: { version: 1, says },
  });
  catalogue<Both>({
    // @ts-expect-error nothing says how the personal fields are sealed
    Named: { version: 1, says },
    Closed: { version: 1, says },
  });
  catalogue<Both>({
    Named: { version: 1, sealed: { name: 'identity', nick: 'identity' }, says },
    // @ts-expect-error reason is not personal
    Closed: { version: 1, sealed: { reason: 'identity' }, says },
  });
  // @ts-expect-error an event without an entry
  catalogue<Both>({ Closed: { version: 1, says } });
  expect.assertions(0);
});

test('an evolve that forgets an event does not compile', () => {
  model<Both>()({
    name: 'complete',
    initial: { closed: false },
    evolve: { Named: ignored, Closed: () => ({ closed: true }) },
  });
  model<Both>()({
    name: 'forgetful',
    initial: { closed: false },
    // @ts-expect-error Named is forgotten
    evolve: { Closed: () => ({ closed: true }) },
  });
  expect.assertions(0);
});

test('a projection of its own events that forgets one does not compile', () => {
  const complete: Handlers<Map<string, number>, Both> = { Named: ignored, Closed: () => undefined };
  // @ts-expect-error Named is forgotten
  const forgetful: Handlers<Map<string, number>, Both> = { Closed: () => undefined };
  expect([complete, forgetful]).toHaveLength(2);
});

test('a state that holds personal data, sealed, erased or clear, does not compile', () => {
  const evolve = { Named: ignored, Closed: ignored } as const;
  model<Both>()({ name: 'sober', initial: { seen: 0, ids: [] as string[] }, evolve });
  // @ts-expect-error a personal field in the state
  model<Both>()<{ name?: Pii<string> }>({ name: 'nosy', initial: {}, evolve });
  // @ts-expect-error a ciphertext is personal data too
  model<Both>()<{ name?: Sealed }>({ name: 'hoarding', initial: {}, evolve });
  type Deep = { readonly all: Map<string, { names: Pii<string>[] }> };
  const initial: Deep = { all: new Map() };
  // @ts-expect-error however deep it lies
  model<Both>()<Deep>({ name: 'deep', initial, evolve });
  expect.assertions(0);
});

test('a model does not even see personal data in the clear', () => {
  model<Both>()<{ length: number }>({
    name: 'curious',
    initial: { length: 0 },
    evolve: {
      // @ts-expect-error what is stored is sealed or erased, and has no length
      Named: (_, event) => ({ length: event.data.name.length }),
      Closed: (_, event) => ({ length: event.data.reason.length }),
    },
  });
  expect.assertions(0);
});
