/** What a secret may be made of: anything that fits into a header and a shell without quoting. */
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_';

const SECRET_PREFIX = 'clk_';

/** 43 of 63 characters: 257 bits. */
export const SECRET_LENGTH = 43;

/** The form of every key of ours, also of those that an operator chose. */
export const SECRET = /^clk_[A-Za-z0-9_]{32,}$/;

/**
 * The secret that random bytes make; undefined where there were too few. Of 64 values one is no character
 * and is passed over, so that all characters are equally likely.
 */
export function secretFrom(random: Uint8Array): string | undefined {
  let secret = '';
  for (const byte of random) {
    if (secret.length === SECRET_LENGTH) break;
    secret += ALPHABET[byte & 63] ?? '';
  }
  return secret.length === SECRET_LENGTH ? SECRET_PREFIX + secret : undefined;
}

/**
 * What is kept of a secret: a digest under a key of the ledger's own. An operator's choice may be weak, and
 * who can read the log must not be able to search for it.
 */
export function secretHashOf(
  secret: string,
  keyed: { digest(use: 'api-key-secret', secret: string): Uint8Array },
): string {
  return Buffer.from(keyed.digest('api-key-secret', secret)).toString('hex');
}
