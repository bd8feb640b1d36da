import { readFileSync } from 'node:fs';
import { Module } from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';
import { EvidenceController } from './api/evidence.controller.js';
import { RecordsController } from './api/records.controller.js';
import { VERIFY_HTML } from './queries/evidence.tokens.js';
import { GatherEvidenceHandler } from './queries/gather-evidence.js';
import { ShowRecordsHandler } from './queries/show-records.js';

export { STORED_STREAMS, type StoredStreams } from './queries/evidence.tokens.js';

/** What is handed to somebody who need not trust us. Needs, beside what all slices do: STORED_STREAMS. */
@Module({
  imports: [CqrsModule],
  controllers: [EvidenceController, RecordsController],
  providers: [
    GatherEvidenceHandler,
    ShowRecordsHandler,
    {
      provide: VERIFY_HTML,
      useFactory: () => readFileSync(new URL('views/verify.html', import.meta.url), 'utf8'),
    },
  ],
})
export class EvidenceModule {}
