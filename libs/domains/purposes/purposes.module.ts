import { Module } from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';
import { CatalogueController } from './api/catalogue.controller.js';
import { NoticesController } from './api/notices.controller.js';
import { PurposesController } from './api/purposes.controller.js';
import { SettingsController } from './api/settings.controller.js';
import { TopicsController } from './api/topics.controller.js';
import { ApplyCatalogueHandler } from './commands/apply-catalogue.js';
import { ChangeSettingsHandler } from './commands/change-settings.js';
import { DefinePurposeHandler } from './commands/define-purpose.js';
import { DefineTopicHandler } from './commands/define-topic.js';
import { PublishNoticeHandler } from './commands/publish-notice.js';
import { RetirePurposeHandler } from './commands/retire-purpose.js';
import { RetireTopicHandler } from './commands/retire-topic.js';
import { RevisePurposeHandler } from './commands/revise-purpose.js';
import { ReviseTopicHandler } from './commands/revise-topic.js';
import { AnswerPrivacyCentre } from './queries/privacy-centre.js';
import { AnswerPurposeHistory } from './queries/purpose-history.js';

@Module({
  imports: [CqrsModule],
  controllers: [
    CatalogueController,
    NoticesController,
    PurposesController,
    SettingsController,
    TopicsController,
  ],
  providers: [
    AnswerPrivacyCentre,
    AnswerPurposeHistory,
    ApplyCatalogueHandler,
    ChangeSettingsHandler,
    DefinePurposeHandler,
    DefineTopicHandler,
    PublishNoticeHandler,
    RetirePurposeHandler,
    RetireTopicHandler,
    RevisePurposeHandler,
    ReviseTopicHandler,
  ],
})
export class PurposesModule {}
