import { type DynamicModule, Module, type OnApplicationShutdown } from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';
import { Ledger } from '#core/ledger/ledger.js';
import { Receipts } from '#core/ledger/receipt.js';
import { HealthChecks } from '#core/platform/http/health.js';
import { PostgresIdempotencyStore } from '#core/platform/idempotency.postgres.js';
import { Metrics } from '#core/platform/metrics.js';
import { READ_MODELS, type ReadModels } from '#core/platform/read-models.js';
import { SEALS, type Seals } from '#core/platform/seals.js';
import { Projector } from '#core/projector/projector.js';
import { Jobs } from '#core/runtime/jobs.js';
import { ProjectedReadModels } from '#core/runtime/read-models.js';
import type { Runtime } from '#core/runtime/runtime.js';
import { upkeep } from '#core/runtime/upkeep.js';
import { watch } from '#core/runtime/watch.js';
import { AccessModule } from './access/access.module.js';
import {
  AuditModule,
  EVENT_CATALOGUE,
  RECORDED_RECEIPTS,
  type RecordedReceipts,
  STORED_EVENTS,
} from './audit/audit.module.js';
import { ConsentsModule } from './consents/consents.module.js';
import { ExpiryJob } from './consents/reactions/expiry.job.js';
import { ErasureModule } from './erasure/erasure.module.js';
import { ErasureReaction, NOT_PASSED_YET } from './erasure/reactions/erasure.reaction.js';
import { EvidenceModule, STORED_STREAMS } from './evidence/evidence.module.js';
import { PurposesModule } from './purposes/purposes.module.js';
import { eventCatalogue, projections, SERVING } from './slices.js';
import { ContactPointsReaction } from './subjects/reactions/contact-points.reaction.js';
import { SubjectsModule } from './subjects/subjects.module.js';

/** All slices over one runtime, and the projector that drives their read models and reactions. */
@Module({})
export class SlicesModule implements OnApplicationShutdown {
  constructor(
    private readonly projector: Projector,
    private readonly jobs: Jobs,
    ledger: Ledger,
    checks: HealthChecks,
    metrics: Metrics,
  ) {
    watch({ ledger, projector }, checks, metrics);
  }

  static over(runtime: Runtime): DynamicModule {
    const { following, ledger, store, logger, vault, database } = runtime;
    const ports = [
      { provide: EVENT_CATALOGUE, useValue: eventCatalogue },
      { provide: STORED_EVENTS, useValue: store },
      { provide: STORED_STREAMS, useValue: store },
      {
        provide: RECORDED_RECEIPTS,
        inject: [PostgresIdempotencyStore],
        useFactory: (answers: PostgresIdempotencyStore): RecordedReceipts => ({
          find: (receiptId) =>
            answers.receiptOfNothing(receiptId) as ReturnType<RecordedReceipts['find']>,
        }),
      },
      {
        provide: Projector,
        inject: [ErasureReaction, ContactPointsReaction],
        useFactory: (erasure: ErasureReaction, contactPoints: ContactPointsReaction) =>
          new Projector({
            db: following,
            log: ledger,
            projections: projections(),
            reactors: [erasure, contactPoints],
            report: (notice) => {
              const expected =
                notice.kind === 'took-over' ||
                notice.kind === 'switched' ||
                (notice.kind === 'parked' && notice.reason === NOT_PASSED_YET);
              logger[expected ? 'info' : 'warn']({ notice }, 'projector');
            },
          }),
      },
      {
        provide: Jobs,
        inject: [ExpiryJob, PostgresIdempotencyStore],
        useFactory: (expiry: ExpiryJob, answers: PostgresIdempotencyStore) =>
          new Jobs([expiry, ...upkeep(vault, answers, database)], { db: database, logger }),
      },
      {
        provide: READ_MODELS,
        inject: [Projector, Ledger],
        useFactory: (projector: Projector, ledger: Ledger) =>
          new ProjectedReadModels(projector, SERVING, (position) => ledger.locate(position)),
      },
      {
        provide: Receipts,
        inject: [READ_MODELS, SEALS],
        useFactory: (readModels: ReadModels, seals: Seals) => new Receipts(readModels, seals),
      },
    ];
    return {
      module: SlicesModule,
      global: true,
      imports: [
        CqrsModule.forRoot(),
        AccessModule,
        AuditModule,
        ConsentsModule,
        ErasureModule,
        EvidenceModule,
        PurposesModule,
        SubjectsModule,
      ],
      providers: ports,
      exports: [...ports.map(({ provide }) => provide), AccessModule],
    };
  }

  async onApplicationShutdown(): Promise<void> {
    await this.jobs.stop();
    await this.projector.stop();
  }
}
