import { Module } from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';
import { ComparisonController } from './api/comparison.controller.js';
import { EventsController } from './api/events.controller.js';
import { LogController } from './api/log.controller.js';
import { ReceiptsController } from './api/receipts.controller.js';
import { TimelineController } from './api/timeline.controller.js';
import { CompareMomentsHandler } from './queries/compare-moments.js';
import { FeedEventsHandler } from './queries/feed-events.js';
import { FollowEventsHandler } from './queries/follow-events.js';
import { ProveConsistencyHandler } from './queries/prove-consistency.js';
import { ProveInclusionHandler } from './queries/prove-inclusion.js';
import { ShowCheckpointHandler } from './queries/show-checkpoint.js';
import { ShowLogKeysHandler } from './queries/show-log-keys.js';
import { ShowReceiptHandler } from './queries/show-receipt.js';
import { ShowTileHandler } from './queries/show-tile.js';
import { ShowTimelineHandler } from './queries/show-timeline.js';
import { TellEventsHandler } from './queries/tell-events.js';

export {
  EVENT_CATALOGUE,
  RECORDED_RECEIPTS,
  type RecordedReceipts,
  STORED_EVENTS,
  type StoredEvents,
} from './queries/audit.tokens.js';

/** Needs, beside what all slices do: EVENT_CATALOGUE, STORED_EVENTS and RECORDED_RECEIPTS. */
@Module({
  imports: [CqrsModule],
  controllers: [
    ComparisonController,
    EventsController,
    LogController,
    ReceiptsController,
    TimelineController,
  ],
  providers: [
    CompareMomentsHandler,
    FeedEventsHandler,
    FollowEventsHandler,
    ProveConsistencyHandler,
    ProveInclusionHandler,
    ShowCheckpointHandler,
    ShowLogKeysHandler,
    ShowReceiptHandler,
    ShowTileHandler,
    ShowTimelineHandler,
    TellEventsHandler,
  ],
})
export class AuditModule {}
