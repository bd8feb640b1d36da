import { randomBytes } from 'node:crypto';
import { utf8 } from './encoding.js';
import { sha256 } from './node-crypto.js';
import { Deliveries, type Witness, type WitnessNotice } from './witnesses.js';

/** Milliseconds between two timestamps: an authority is asked once an hour, not for every checkpoint. */
const HOUR = 3_600_000;
const TIMEOUT = 10_000;
const LARGEST_RESPONSE = 100_000;

const NONCE_BYTES = 8;
/** AlgorithmIdentifier of SHA-256 (RFC 5754, section 2.2), with NULL parameters. */
const SHA256 = Buffer.from('300d06096086480165030402010500', 'hex');

/**
 * A timestamp request for bytes, as DER (RFC 3161, section 2.4.1): version 1, their SHA-256, a nonce, and
 * the wish for the authority's certificate in the answer.
 */
export function timestampRequest(bytes: Uint8Array, nonce = newNonce()): Buffer {
  const imprint = der(0x30, SHA256, der(0x04, Buffer.from(sha256(bytes))));
  return der(0x30, der(0x02, Buffer.of(1)), imprint, der(0x02, nonce), der(0x01, Buffer.of(0xff)));
}

/**
 * Whether an answer grants what was asked: PKIStatus 0 or 1 (RFC 3161, section 2.4.2), and the hash of
 * these very bytes is in it. The authority's signature is for whoever relies on it to verify, with the
 * certificate that they trust: `openssl ts -verify`.
 */
export function isTimestampOf(bytes: Uint8Array, response: Uint8Array): boolean {
  // TimeStampResp { PKIStatusInfo { INTEGER, ... }, token }
  const status = contentOf(contentOf(response, 0x30), 0x30);
  const granted = status && contentOf(status, 0x02);
  if (granted?.length !== 1 || (granted[0] as number) > 1) return false;
  return Buffer.from(response).includes(Buffer.from(sha256(bytes)));
}

/** Asks a timestamp authority (RFC 3161, over HTTP) for the newest checkpoint, once an hour at most. */
export function timestampAuthority(
  url: string,
  keep: (size: number, token: Uint8Array) => Promise<void>,
  failed: (notice: WitnessNotice) => void,
  every = HOUR,
): Witness {
  let stampedAt = -Infinity;
  const deliveries = new Deliveries(
    'timestamp',
    async ({ note, size }, signal) => {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'Content-Type': 'application/timestamp-query' },
        body: new Uint8Array(timestampRequest(utf8(note))),
        signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT)]),
      });
      const token = new Uint8Array(await response.arrayBuffer());
      const usable = response.ok && token.length <= LARGEST_RESPONSE;
      if (!usable || !isTimestampOf(utf8(note), token)) throw new TimestampRefused(response.status);
      await keep(size, token);
      stampedAt = performance.now();
    },
    failed,
  );
  return {
    name: deliveries.name,
    newest: deliveries.newest,
    ask: deliveries.ask,
    seen: deliveries.seen,
    offer: (checkpoint) => {
      if (performance.now() - stampedAt >= every) deliveries.offer(checkpoint);
    },
    behindSeconds: () => deliveries.behindSeconds(),
    stop: () => deliveries.stop(),
  };
}

/** The authority's answer is no timestamp of what was sent. */
export class TimestampRefused extends Error {
  override readonly name = 'TimestampRefused';
  constructor(readonly status: number) {
    super(`the timestamp authority answered ${status} without granting a timestamp`);
  }
}

/** Positive, as an INTEGER of DER has its sign in the first bit, and without a leading zero. */
function newNonce(): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  nonce[0] = ((nonce[0] as number) & 0x7f) | 0x40;
  return nonce;
}

/** Tag, length in the short form or with one byte, content: nothing that we send is longer than 255. */
function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const length = content.length < 128 ? [content.length] : [0x81, content.length];
  return Buffer.concat([Buffer.of(tag, ...length), content]);
}

/** The content of the first element, where it has that tag; undefined for what is no such DER. */
function contentOf(bytes: Uint8Array | undefined, tag: number): Uint8Array | undefined {
  if (bytes === undefined || bytes[0] !== tag) return undefined;
  const first = bytes[1] ?? 0xff;
  const octets = first < 0x80 ? 0 : first & 0x7f;
  if (octets > 3) return undefined;
  let length = octets === 0 ? first : 0;
  for (let at = 0; at < octets; at++) length = length * 256 + (bytes[2 + at] ?? 0);
  const content = bytes.subarray(2 + octets, 2 + octets + length);
  return content.length === length ? content : undefined;
}
