import { randomBytes } from 'node:crypto';
import { secretFrom } from '../domain/secret.js';

/** A new secret. It is in memory until it was shown, and nowhere else. */
export function newSecret(): string {
  for (;;) {
    const secret = secretFrom(randomBytes(96));
    if (secret !== undefined) return secret;
  }
}
