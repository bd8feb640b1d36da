/**
 * Personal data in events. A field of type `Pii<T>` is clear only in the hands of a command that writes
 * it or a reader with the right to open it; in the log it is sealed, and once the key is destroyed it is
 * erased for good. Models and projections see `Sealed | Erased` and can therefore not depend on it.
 */

declare const mark: unique symbol;

/** What is left of a value whose key was destroyed. The mark is for the compiler: no other type is one by chance. */
export interface Erased {
  readonly erased: true;
  readonly [mark]: 'erased';
}
export const erased = Object.freeze({ erased: true }) as Erased;

/** A value under its owner's key: the ciphertext, base64url. */
export interface Sealed {
  readonly sealed: string;
  readonly [mark]?: 'sealed';
}

export type Pii<T> = T | Erased;

export function isErased(value: unknown): value is Erased {
  return typeof value === 'object' && value !== null && 'erased' in value && value.erased === true;
}

/** The value, or undefined where it was erased. */
export function present<T>(value: Pii<T> | undefined): T | undefined {
  return isErased(value) ? undefined : value;
}

type Primitive = string | number | boolean | bigint | symbol | null | undefined;

/** The keys of an event's data that hold personal data. */
export type PiiKeys<Data> = {
  [K in keyof Data]-?: Erased extends Exclude<Data[K], undefined> ? K : never;
}[keyof Data];

/** An event's data as it lies in the log: nothing personal can be read. */
export type StoredData<Data> = {
  [K in keyof Data]: Erased extends Exclude<Data[K], undefined>
    ? Sealed | Erased | Extract<Data[K], undefined>
    : Data[K];
};

/** True where personal data, sealed, erased or clear, lies anywhere within `T`. */
export type HoldsPii<T> = unknown extends T
  ? true
  : T extends Primitive
    ? false
    : T extends Erased | Sealed
      ? true
      : T extends ReadonlyMap<infer K, infer V>
        ? HoldsPii<K> extends true
          ? true
          : HoldsPii<V>
        : T extends ReadonlySet<infer V>
          ? HoldsPii<V>
          : T extends readonly (infer V)[]
            ? HoldsPii<V>
            : T extends (...args: never[]) => unknown
              ? false
              : true extends { [K in keyof T]-?: HoldsPii<T[K]> }[keyof T]
                ? true
                : false;

/** `T`, or a type nothing fits where `T` holds personal data: a state that holds one does not compile. */
export type WithoutPii<T> =
  true extends HoldsPii<T> ? { readonly 'a state must not hold personal data': never } : T;
