/** The ports' names in dependency injection; what they promise stands in `port.ts`. */
export const VAULT = Symbol('Vault');
export const LOOKUP_INDEX = Symbol('LookupIndex');
export const DERIVATION = Symbol('Derivation');
