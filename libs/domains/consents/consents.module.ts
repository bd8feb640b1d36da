import { Module } from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';
import { AudiencesController } from './api/audiences.controller.js';
import { BulkController } from './api/bulk.controller.js';
import { ChoicesController } from './api/choices.controller.js';
import { DecisionsController } from './api/decisions.controller.js';
import { AnnounceExpiryHandler } from './commands/announce-expiry.js';
import { RecordChoicesHandler } from './commands/record-choices.js';
import { RecordLinesHandler } from './commands/record-lines.js';
import { SetBasisHandler } from './commands/set-basis.js';
import { AnswerAudience } from './queries/audience.js';
import { AnswerConsentHistory } from './queries/consent-history.js';
import { DecideHandler } from './queries/decide.js';
import { AnswerExpiredConsents } from './queries/expired-consents.js';
import { AnswerPersonStanding } from './queries/person-standing.js';
import { ReplayPeopleHandler } from './queries/replay-people.js';
import { ExpiryJob } from './reactions/expiry.job.js';

@Module({
  imports: [CqrsModule],
  controllers: [AudiencesController, BulkController, ChoicesController, DecisionsController],
  providers: [
    AnnounceExpiryHandler,
    AnswerAudience,
    AnswerConsentHistory,
    AnswerExpiredConsents,
    AnswerPersonStanding,
    DecideHandler,
    ExpiryJob,
    RecordChoicesHandler,
    RecordLinesHandler,
    ReplayPeopleHandler,
    SetBasisHandler,
  ],
  exports: [ExpiryJob],
})
export class ConsentsModule {}
