import { Module } from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';
import { RecordsController } from './api/records.controller.js';
import { ShowRecordsHandler } from './queries/show-records.js';

/** What is handed to somebody who need not trust us. */
@Module({
  imports: [CqrsModule],
  controllers: [RecordsController],
  providers: [ShowRecordsHandler],
})
export class EvidenceModule {}
