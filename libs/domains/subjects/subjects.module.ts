import { Module } from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';
import { SubjectsController } from './api/subjects.controller.js';
import {
  AddContactPointHandler,
  RemoveContactPointHandler,
} from './commands/change-contact-points.js';
import { ForgetContactPointHandler } from './commands/forget-contact-point.js';
import { RectifyIdentityHandler } from './commands/rectify-identity.js';
import { RegisterSubjectHandler } from './commands/register-subject.js';
import {
  LiftRestrictionHandler,
  RestrictProcessingHandler,
} from './commands/restrict-processing.js';
import { FindSubjectsHandler } from './queries/find-subjects.js';
import { AnswerReachability } from './queries/reachability.js';
import { ViewSubjectHandler } from './queries/view-subject.js';
import { ContactPointsReaction } from './reactions/contact-points.reaction.js';

@Module({
  imports: [CqrsModule],
  controllers: [SubjectsController],
  providers: [
    AddContactPointHandler,
    AnswerReachability,
    ContactPointsReaction,
    FindSubjectsHandler,
    ForgetContactPointHandler,
    LiftRestrictionHandler,
    RectifyIdentityHandler,
    RegisterSubjectHandler,
    RemoveContactPointHandler,
    RestrictProcessingHandler,
    ViewSubjectHandler,
  ],
  exports: [ContactPointsReaction],
})
export class SubjectsModule {}
