import type { Envelope } from '#core/kernel/event.js';
import { newId, type StreamName, streamOf } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import { Content, type Unplaced } from '../content.js';
import type { NewEvent } from '../port.js';

/** A stream of its own for a test. */
export function sampleStream(category = 'subject'): StreamName {
  return streamOf(category, newId('sub'));
}

/** An envelope without a place, with every text a store could stumble over. */
export function sampleEnvelope(stream: StreamName, from: Partial<Unplaced> = {}): Unplaced {
  return {
    id: newId('evt'),
    type: 'SampleRecorded',
    version: 1,
    stream,
    occurredAt: '2026-03-01T12:00:00.000Z' as Instant,
    actor: { kind: 'system', id: 'sample' },
    source: 'unknown',
    interactionId: newId('rcp'),
    correlationId: 'sample',
    salt: 'AAAAAAAAAAAAAAAAAAAAAA',
    data: {
      text: 'nul \u0000 quote " backslash \\ line\n Grüße 😀 \u2028',
      number: 1e21,
      nothing: null,
    },
    ...from,
  } satisfies Omit<Envelope, 'recordedAt' | 'revision' | 'position'> & {
    type: string;
    data: object;
  };
}

export function sampleEvent(stream: StreamName, from: Partial<Unplaced> = {}): NewEvent {
  const envelope = sampleEnvelope(stream, from);
  return { id: envelope.id, type: envelope.type, content: Content.of(envelope) };
}

/** `count` events, at least one. */
export function sampleEvents(stream: StreamName, count: number): [NewEvent, ...NewEvent[]] {
  const rest = Array.from({ length: count - 1 }, () => sampleEvent(stream));
  return [sampleEvent(stream), ...rest];
}
