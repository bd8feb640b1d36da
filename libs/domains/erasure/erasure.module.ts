import { Module } from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';
import { ErasureController } from './api/erasure.controller.js';
import { CompleteErasureHandler, DestroyKeysHandler } from './commands/erase-subject.js';
import {
  ApproveErasureHandler,
  RefuseErasureHandler,
  RequestErasureHandler,
} from './commands/request-erasure.js';
import { AnswerKeyEpochs } from './queries/key-epochs.js';
import { AnswerOperation } from './queries/operation.js';
import { ErasureReaction } from './reactions/erasure.reaction.js';

@Module({
  imports: [CqrsModule],
  controllers: [ErasureController],
  providers: [
    AnswerKeyEpochs,
    AnswerOperation,
    ApproveErasureHandler,
    CompleteErasureHandler,
    DestroyKeysHandler,
    ErasureReaction,
    RefuseErasureHandler,
    RequestErasureHandler,
  ],
  exports: [ErasureReaction],
})
export class ErasureModule {}
