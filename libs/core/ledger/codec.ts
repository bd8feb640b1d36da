import { isUtf8 } from 'node:buffer';
import { canonicalJson, NotCanonical } from '#core/kernel/canonical-json.js';
import type { EventCatalogue, EventSpecification } from '#core/kernel/catalogue.js';
import type { Opened, Recorded } from '#core/kernel/event.js';
import { type EventId, isId, ownerOf, type StreamName } from '#core/kernel/ids.js';
import { erased, isErased, type Sealed } from '#core/kernel/pii.js';
import type { Position } from '#core/kernel/position.js';
import { Refused } from '#core/kernel/refused.js';
import type { DataKey, KeyId, KeyOwner, Vault } from '#core/vault/port.js';
import { additionalData, keyIdOf, seal, unseal } from '#core/vault/sealing.js';
import { Content, type Unplaced } from './content.js';
import type { NewEvent, StoredEvent } from './port.js';

/** A fact with its envelope, personal fields in the clear; the catalogue knows its version. */
export type Draft = Omit<Unplaced, 'version'>;

/** Most bytes of a stored event. */
export const LARGEST_EVENT = 60_000;

/** What is stored at `position` is no event that this code can read. Nothing may go on past it. */
export class CannotDecode extends Error {
  override readonly name = 'CannotDecode';
  constructor(
    readonly position: Position,
    readonly reason: string,
    readonly stream?: StreamName,
  ) {
    super(`position ${position}: ${reason}`);
  }
}

/** A sealed field that can be neither opened nor called erased: its key is unknown, or it was changed. */
export class CannotOpen extends Error {
  override readonly name = 'CannotOpen';
  constructor(
    readonly eventId: EventId,
    readonly field: string,
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(`${eventId}: ${field}: ${reason}`, options);
  }
}

type Fields = Record<string, unknown>;

interface SealedField {
  readonly event: Recorded;
  readonly field: string;
  readonly bytes: Buffer;
  readonly keyId: KeyId;
}

/**
 * Between events as the domain knows them and the bytes that are stored: personal fields sealed under
 * their owner's keys, old versions lifted to the present one.
 */
export class Codec {
  /** Under which name a field was sealed, where an upcast gave it another. */
  private readonly sealedAs = new WeakMap<Sealed, string>();

  constructor(
    private readonly catalogue: EventCatalogue,
    private readonly vault: Pick<Vault, 'keysFor' | 'open'>,
  ) {}

  /**
   * Seals and writes, with one question to the vault for all of them.
   * @throws KeyDestroyed where an owner's compartment was destroyed
   * @throws Refused (invalid) for what can not be stored: too large, no Unicode, a reserved form
   */
  async encode(drafts: readonly Draft[]): Promise<NewEvent[]> {
    const keys = await this.keysFor(drafts);
    return drafts.map((draft) => {
      const { version } = this.specificationOf(draft.type);
      const data = this.seal({ ...draft, version }, keys);
      const content = written(() => Content.of({ ...draft, version, data }));
      if (content.length > LARGEST_EVENT) throw tooLarge(draft.type, content.length);
      return { id: draft.id, type: draft.type, content };
    });
  }

  /** The event as stored, data in its present version, personal fields sealed. Throws CannotDecode. */
  decode(stored: StoredEvent): Recorded {
    const fail = (reason: string) => new CannotDecode(stored.position, reason, stored.stream);
    const event = envelopeIn(stored.bytes);
    if (typeof event === 'string') throw fail(event);
    if (event.stream !== stored.stream || event.revision !== stored.revision)
      throw fail(
        `says ${event.stream} ${event.revision}, lies at ${stored.stream} ${stored.revision}`,
      );
    const specification = this.catalogue.get(event.type);
    if (specification === undefined) throw fail('has an unknown type');
    const data = this.lifted(event, specification);
    if (typeof data === 'string') throw fail(data);
    for (const field of Object.keys(specification.sealed ?? {}))
      if (data[field] !== undefined && !isSealed(data[field]) && !isMark(data[field]))
        throw fail(`${event.type}.${field} is personal and not sealed`);
    return { ...event, data, position: stored.position };
  }

  /**
   * Opens personal fields, with one question to the vault; what was under a destroyed key is `erased`.
   * @throws CannotOpen where a key is unknown or a field does not authenticate: never called erased
   */
  async open(events: readonly Recorded[]): Promise<Opened[]> {
    const fields = events.flatMap((event) => this.sealedFieldsOf(event));
    const keys = await this.vault.open([...new Set(fields.map(({ keyId }) => keyId))]);
    const clear = new Map<Recorded, Fields>();
    for (const sealed of fields) {
      const { event, field } = sealed;
      if (!clear.has(event)) clear.set(event, { ...(event.data as Fields) });
      (clear.get(event) as Fields)[field] = this.openField(sealed, keys.get(sealed.keyId));
    }
    return events.map((event) => ({ ...event, data: clear.get(event) ?? event.data }));
  }

  private specificationOf(type: string): EventSpecification {
    const specification = this.catalogue.get(type);
    if (specification === undefined) throw new Error(`event type ${type} is in no catalogue`);
    return specification;
  }

  private async keysFor(drafts: readonly Draft[]): Promise<ReadonlyMap<string, DataKey>> {
    const wanted = new Map<string, KeyOwner>();
    for (const draft of drafts)
      for (const field of this.personalFieldsOf(draft)) {
        const keyOwner = this.keyOwnerOf(draft, field);
        wanted.set(nameOf(keyOwner), keyOwner);
      }
    if (wanted.size === 0) return new Map();
    const keys = await this.vault.keysFor([...wanted.values()]);
    return new Map([...wanted.keys()].map((name, index) => [name, keys[index] as DataKey]));
  }

  /** The fields that are to be sealed: those of the catalogue that are there and not erased already. */
  private personalFieldsOf({ type, data }: Draft): string[] {
    const sealed = Object.keys(this.specificationOf(type).sealed ?? {});
    return sealed.filter((field) => {
      const value = (data as Fields)[field];
      // Only our own mark means erased: whatever else looks like it came from outside and is sealed
      // nowhere but here.
      if (value === undefined || value === erased) return false;
      if (isErased(value)) throw reservedForm(type, field);
      return true;
    });
  }

  private keyOwnerOf({ type, stream, data }: Draft, field: string): KeyOwner {
    const compartment = this.specificationOf(type).sealed?.[field] ?? 'identity';
    return {
      owner: ownerOf(stream),
      compartment: typeof compartment === 'function' ? compartment(data as never) : compartment,
    };
  }

  private seal(draft: Draft & { version: number }, keys: ReadonlyMap<string, DataKey>): Fields {
    const { stream, id: eventId, type: eventType, version } = draft;
    const data: Fields = { ...draft.data };
    for (const field of this.personalFieldsOf(draft)) {
      const key = keys.get(nameOf(this.keyOwnerOf(draft, field))) as DataKey;
      const plaintext = Buffer.from(written(() => canonicalJson(data[field])));
      const aad = additionalData({ stream, eventId, eventType, version, field, keyId: key.id });
      data[field] = { sealed: base64url(seal(key, plaintext, aad)) } satisfies Sealed;
    }
    return data;
  }

  /** Data of the present version; the reason where it can not be lifted. */
  private lifted(event: StoredEnvelope, { version, upcasts }: EventSpecification): Fields | string {
    if (event.version > version)
      return `${event.type} has version ${event.version}, newer than ${version}`;
    if (event.version === version) return event.data;
    for (const [field, value] of Object.entries(event.data))
      if (isSealed(value)) this.sealedAs.set(value, field);
    let data: object = event.data;
    for (let from = event.version; from < version; from++) {
      const upcast = upcasts?.[from];
      if (upcast === undefined) return `${event.type} has no upcast from version ${from}`;
      try {
        data = upcast(data);
      } catch {
        return `${event.type} can not be lifted from version ${from}`;
      }
    }
    return data as Fields;
  }

  private sealedFieldsOf(event: Recorded): SealedField[] {
    const { sealed: personal = {} } = this.specificationOf(event.type);
    const found: SealedField[] = [];
    for (const field of Object.keys(personal)) {
      const value = (event.data as Fields)[field];
      if (!isSealed(value)) continue;
      const bytes = Buffer.from(value.sealed, 'base64url');
      try {
        found.push({ event, field, bytes, keyId: keyIdOf(bytes) });
      } catch (cause) {
        throw new CannotOpen(event.id, field, 'is no sealed value', { cause });
      }
    }
    return found;
  }

  private openField(
    { event, field, bytes, keyId }: SealedField,
    key: DataKey | 'destroyed' | 'unknown' | undefined,
  ): unknown {
    if (key === 'destroyed') return erased;
    if (key === undefined || key === 'unknown')
      throw new CannotOpen(event.id, field, `the vault never had key ${keyId}`);
    const { stream, id: eventId, type: eventType, version } = event;
    const sealedAs = this.sealedAs.get((event.data as Fields)[field] as Sealed) ?? field;
    const place = { stream, eventId, eventType, version, field: sealedAs, keyId };
    try {
      return JSON.parse(Buffer.from(unseal(key, bytes, additionalData(place))).toString('utf8'));
    } catch (cause) {
      throw new CannotOpen(event.id, field, 'does not authenticate', { cause });
    }
  }
}

/** The envelope as it lies in the bytes: everything but the position. */
type StoredEnvelope = Omit<Recorded, 'data' | 'position'> & {
  readonly type: string;
  readonly data: Fields;
};

/** The envelope in the bytes, or in words why there is none. */
function envelopeIn(bytes: Uint8Array): StoredEnvelope | string {
  if (!isUtf8(bytes)) return 'is not UTF-8';
  const { buffer, byteOffset, byteLength } = bytes;
  let event: unknown;
  try {
    event = JSON.parse(Buffer.from(buffer, byteOffset, byteLength).toString('utf8'));
  } catch {
    return 'is not JSON';
  }
  if (!isObject(event)) return 'is no object';
  return flawOf(event) ?? (event as unknown as StoredEnvelope);
}

const TEXTS = [
  'type',
  'stream',
  'occurredAt',
  'recordedAt',
  'source',
  'interactionId',
  'correlationId',
  'salt',
] as const;

/** What an envelope lacks, in words; undefined where it is whole. */
function flawOf(event: Fields): string | undefined {
  if (!isId('evt', event.id)) return 'has no id';
  for (const field of TEXTS) if (typeof event[field] !== 'string') return `has no ${field}`;
  if (!Number.isInteger(event.version) || (event.version as number) < 1) return 'has no version';
  if (!Number.isInteger(event.revision)) return 'has no revision';
  if (!isObject(event.actor)) return 'has no actor';
  if (!isObject(event.data)) return 'has no data';
  return undefined;
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSealed(value: unknown): value is Sealed {
  return isObject(value) && typeof value.sealed === 'string' && Object.keys(value).length === 1;
}

/** The mark of an erased value as we write it, and nothing beside it. */
function isMark(value: unknown): boolean {
  return isErased(value) && Object.keys(value).length === 1;
}

function nameOf({ owner, compartment }: KeyOwner): string {
  return `${owner} ${compartment}`;
}

function base64url(bytes: Uint8Array): string {
  const { buffer, byteOffset, byteLength } = bytes;
  return Buffer.from(buffer, byteOffset, byteLength).toString('base64url');
}

/** RFC 8785 has no form for numbers that are none and for halves of surrogate pairs. */
function written<T>(write: () => T): T {
  try {
    return write();
  } catch (cause) {
    if (!(cause instanceof NotCanonical)) throw cause;
    throw new Refused('invalid', 'not-representable', 'a text is no Unicode, or a number is none');
  }
}

function tooLarge(type: string, bytes: number): Refused {
  const detail = `the event would take ${bytes} bytes, at most ${LARGEST_EVENT} are stored`;
  return new Refused('invalid', 'event-too-large', detail, { evidence: { type, bytes } });
}

function reservedForm(type: string, field: string): Refused {
  return new Refused(
    'invalid',
    'reserved-form',
    `${type}.${field} must not say that it was erased`,
  );
}
