import type { KeyOwner } from './port.js';

/** What owners, compartments and references are made of: ids and words in code, never a value. */
const NAME = /^[A-Za-z0-9_.:-]{1,200}$/;

/** Throws RangeError, without the text: what is no name may be a value that got here by mistake. */
export function checkName(what: 'owner' | 'compartment' | 'reference', text: string): void {
  if (!NAME.test(text)) throw new RangeError(`not a name (${what})`);
}

export function checkKeyOwner({ owner, compartment }: KeyOwner): void {
  checkName('owner', owner);
  checkName('compartment', compartment);
}

/** One string for an owner's compartment: neither part can hold a line break. */
export function nameOf({ owner, compartment }: KeyOwner): string {
  return `${owner}\n${compartment}`;
}
