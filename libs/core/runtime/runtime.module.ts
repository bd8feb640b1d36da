import { type DynamicModule, Module } from '@nestjs/common';
import { systemClock } from '#core/kernel/instant.js';
import { Ledger } from '#core/ledger/ledger.js';
import { DIGEST, IDEMPOTENCY_STORE } from '#core/platform/http/idempotency.js';
import { PostgresIdempotencyStore } from '#core/platform/idempotency.postgres.js';
import { SEALS } from '#core/platform/seals.js';
import { CLOCK, DATABASE, LOOKUPS } from '#core/platform/tokens.js';
import { ProvenLog } from '#core/proof/proven-log.js';
import { DERIVATION, LOOKUP_INDEX, VAULT } from '#core/vault/tokens.js';
import { PublishedSeals } from './published-seals.js';
import type { Runtime } from './runtime.js';

/** The ports of an opened runtime as Nest providers, for every slice. Closing stays with who opened it. */
@Module({})
export class RuntimeModule {
  static with(runtime: Runtime): DynamicModule {
    const { ledger, vault, index, derivation, database, lookups } = runtime;
    const providers = [
      { provide: Ledger, useValue: ledger },
      // Not before somebody asks for it: the OpenAPI document is made without an opened runtime.
      { provide: ProvenLog, useFactory: () => runtime.proof.log },
      {
        provide: SEALS,
        inject: [ProvenLog],
        useFactory: (log: ProvenLog) => new PublishedSeals(log),
      },
      { provide: VAULT, useValue: vault },
      { provide: LOOKUP_INDEX, useValue: index },
      { provide: DERIVATION, useValue: derivation },
      { provide: DIGEST, useValue: derivation },
      { provide: DATABASE, useValue: database },
      { provide: LOOKUPS, useValue: lookups },
      { provide: CLOCK, useValue: systemClock },
      { provide: PostgresIdempotencyStore, useValue: new PostgresIdempotencyStore(lookups) },
      { provide: IDEMPOTENCY_STORE, useExisting: PostgresIdempotencyStore },
    ];
    return {
      module: RuntimeModule,
      global: true,
      providers,
      exports: providers.map(({ provide }) => provide),
    };
  }
}
