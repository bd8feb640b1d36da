import { describeLookupIndex, describeVault } from '#core/vault/contract/vault.js';
import { MemoryLookupIndex } from '#core/vault/memory/lookup-index.js';
import { MemoryVault, MemoryVaultState } from '#core/vault/memory/vault.js';
import { VaultDatabase } from './vault-database.js';

describeVault('in memory', async () => {
  const state = new MemoryVaultState();
  return {
    vault: new MemoryVault(state),
    another: async () => new MemoryVault(state),
    cacheMs: 0,
    erased: async () => [...state.erased.keys()],
    end: async () => undefined,
  };
});

describeVault('in PostgreSQL', async () => {
  const database = await VaultDatabase.make();
  return {
    vault: (await database.process()).vault,
    another: async () => (await database.process({ listen: false })).vault,
    cacheMs: 200,
    erased: () => database.erased(),
    end: () => database.end(),
  };
});

describeLookupIndex('in memory', async () => {
  const state = new MemoryVaultState();
  const index = new MemoryLookupIndex(state);
  return {
    index,
    vault: new MemoryVault(state),
    another: async () => index,
    end: async () => undefined,
  };
});

describeLookupIndex('in PostgreSQL', async () => {
  const database = await VaultDatabase.make();
  const { index, vault } = await database.process();
  return {
    index,
    vault,
    another: async () => (await database.process()).index,
    end: () => database.end(),
  };
});
