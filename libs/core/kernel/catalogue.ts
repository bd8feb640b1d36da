import type { Event } from './event.js';
import type { PiiKeys } from './pii.js';

/**
 * Under which of the owner's keys a personal field is sealed: who the person is, what proves their
 * choices, or one contact point. Each can be destroyed alone.
 */
export type Compartment<Data> = 'identity' | 'evidence' | ((data: Data) => `contact-${string}`);

type SealingOf<Data> = [PiiKeys<Data>] extends [never]
  ? { readonly sealed?: undefined }
  : { readonly sealed: { readonly [K in PiiKeys<Data>]: Compartment<Data> } };

/** What everybody else must know of an event type. */
export type CatalogueEntry<Data> = SealingOf<Data> & {
  /** The version written now; older ones are lifted by `upcasts`. */
  readonly version: number;
  /** For each older version, how its data reads in the next one. */
  readonly upcasts?: Readonly<Record<number, (data: object) => object>>;
  /** The timeline's sentence; `{field}` stands for a field of the data that is not personal. */
  readonly says: { readonly en: string; readonly de: string };
};

export type Catalogue<E extends Event> = {
  readonly [T in E['type']]: CatalogueEntry<Extract<E, { type: T }>['data']>;
};

/**
 * Declares a slice's events to codec, sealing and timeline. Does not compile while an event lacks an
 * entry, or a personal field its compartment.
 */
export function catalogue<E extends Event>(entries: Catalogue<E>): Catalogue<E> {
  return entries;
}

/** An entry with its field types forgotten, as the codec sees it. */
export interface EventSpecification {
  readonly version: number;
  readonly upcasts?: Readonly<Record<number, (data: object) => object>>;
  readonly says: { readonly en: string; readonly de: string };
  readonly sealed?: Readonly<
    Record<string, 'identity' | 'evidence' | ((data: never) => `contact-${string}`)>
  >;
}

export type EventCatalogue = ReadonlyMap<string, EventSpecification>;

/** One catalogue of several slices'; a type that two of them declare is a programming error. */
export function joinCatalogues(
  ...slices: readonly Readonly<Record<string, EventSpecification>>[]
): EventCatalogue {
  const all = new Map<string, EventSpecification>();
  for (const slice of slices)
    for (const [type, specification] of Object.entries(slice)) {
      if (all.has(type)) throw new Error(`event type ${type} is declared twice`);
      all.set(type, specification);
    }
  return all;
}
