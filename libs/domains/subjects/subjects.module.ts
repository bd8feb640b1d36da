import { Module } from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';
import { SubjectsController } from './api/subjects.controller.js';
import {
  AddContactPointHandler,
  RemoveContactPointHandler,
} from './commands/change-contact-points.js';
import { RectifyIdentityHandler } from './commands/rectify-identity.js';
import { RegisterSubjectHandler } from './commands/register-subject.js';
import {
  LiftRestrictionHandler,
  RestrictProcessingHandler,
} from './commands/restrict-processing.js';
import { FindSubjectsHandler } from './queries/find-subjects.js';
import { AnswerReachability } from './queries/reachability.js';
import { ViewSubjectHandler } from './queries/view-subject.js';

@Module({
  imports: [CqrsModule],
  controllers: [SubjectsController],
  providers: [
    AddContactPointHandler,
    AnswerReachability,
    FindSubjectsHandler,
    LiftRestrictionHandler,
    RectifyIdentityHandler,
    RegisterSubjectHandler,
    RemoveContactPointHandler,
    RestrictProcessingHandler,
    ViewSubjectHandler,
  ],
})
export class SubjectsModule {}
