import { domainToASCII } from 'node:url';
import { type CountryCode, parsePhoneNumberFromString } from 'libphonenumber-js';
import { invalid } from '#core/kernel/refused.js';
import type { ContactKind } from './subjects.events.js';

/**
 * The one spelling under which a contact value is stored and looked up. E-mail: trimmed, NFC, and only the
 * domain in lower case, since the local part is the receiver's own (RFC 5321, 2.3.11). Phone: E.164.
 */
export function normalisedContact(
  kind: ContactKind,
  value: string,
  { region, pointer }: { readonly region?: string; readonly pointer: string },
): string {
  const text = value.trim().normalize('NFC');
  switch (kind) {
    case 'email':
      return (
        email(text) ?? malformed(pointer, 'email', 'must be one address: local part, @, domain')
      );
    case 'phone':
      return (
        phone(text, region) ??
        malformed(
          pointer,
          'phone',
          region
            ? 'must be a phone number, national or with + and country code'
            : 'must be a phone number with + and country code (E.164)',
        )
      );
    case 'post':
      return text === '' ? malformed(pointer, 'post', 'must not be blank') : text;
  }
}

function malformed(pointer: string, kind: ContactKind, detail: string): never {
  throw invalid({ pointer, code: `malformed-${kind}`, detail });
}

/** RFC 5321 and 6531 lengths and characters, without quoted local parts, comments and address literals. */
function email(text: string): string | undefined {
  const at = text.lastIndexOf('@');
  const [local, domain] = [text.slice(0, at), text.slice(at + 1)];
  const atom = /^[^\s@"(),:;<>[\\\]\p{Cc}]+$/u;
  if (
    at < 1 ||
    !atom.test(local) ||
    local.startsWith('.') ||
    local.endsWith('.') ||
    local.includes('..')
  )
    return undefined;
  const ascii = domainToASCII(domain);
  const label = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?';
  if (!new RegExp(`^${label}(\\.${label})+$`).test(ascii)) return undefined;
  if (Buffer.byteLength(local) > 64 || local.length + ascii.length > 253) return undefined;
  return `${local}@${ascii}`;
}

function phone(text: string, region: string | undefined): string | undefined {
  if (!/^[+0-9(][0-9 ()./-]{2,30}$/.test(text)) return undefined;
  const parsed = parsePhoneNumberFromString(text, region as CountryCode | undefined);
  return parsed?.isPossible() ? parsed.number : undefined;
}

/** The look-up kind of an external reference: one for each system. */
export function referenceKind(system: string): string {
  return `ref:${system}`;
}
