import { dirname } from 'node:path';
import { derivationUnder } from '../derivation.js';
import { KeyFile } from '../key-file.js';
import type { Derivation, LookupIndex } from '../port.js';
import { PostgresLookupIndex } from './lookup-index.js';
import { PostgresVault, type PostgresVaultOptions } from './vault.js';

/** All that hangs on one key home. */
export interface OpenVault {
  readonly vault: PostgresVault;
  readonly index: LookupIndex;
  readonly derivation: Derivation;
}

/** Opens the vault with its epoch keys in a file; the registry of erased keys and the exports lie beside it. */
export async function openVault(
  options: Omit<PostgresVaultOptions, 'home' | 'directory'> & { readonly keyFile: string },
): Promise<OpenVault> {
  const { keyFile, ...rest } = options;
  const vault = await PostgresVault.open({
    ...rest,
    home: (create) => KeyFile.open(keyFile, create),
    directory: dirname(keyFile),
  });
  return {
    vault,
    index: new PostgresLookupIndex(rest.pool, vault.home.secret('index')),
    derivation: derivationUnder(vault.home.secret('derivation')),
  };
}
