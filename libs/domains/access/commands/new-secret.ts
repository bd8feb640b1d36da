import { createHash, randomBytes } from 'node:crypto';
import { secretFrom } from '../domain/secret.js';

/** A new secret. It is in memory until it was shown, and nowhere else. */
export function newSecret(): string {
  for (;;) {
    const secret = secretFrom(randomBytes(96));
    if (secret !== undefined) return secret;
  }
}

/** What is kept of a secret. It has 257 random bits: a plain hash can not be searched. */
export function secretHashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}
