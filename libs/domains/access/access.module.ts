import { Module } from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';
import { AUTHENTICATOR } from '#core/platform/http/auth.guard.js';
import { ApiKeysController } from './api/api-keys.controller.js';
import { AuditEventsController } from './api/audit-events.controller.js';
import { InstallBootstrapKeyHandler } from './commands/install-bootstrap-key.js';
import { IssueApiKeyHandler } from './commands/issue-api-key.js';
import { RecordLookHandler } from './commands/record-look.js';
import { RevokeApiKeyHandler } from './commands/revoke-api-key.js';
import { ListApiKeysHandler, ViewApiKeyHandler } from './queries/api-keys.js';
import { FindAuditEventsHandler } from './queries/audit-events.js';
import { ApiKeyAuthenticator } from './queries/authenticate.js';
import { KnownKeys } from './queries/known-keys.js';

/** Also tells the HTTP edge who calls: AUTHENTICATOR. */
@Module({
  imports: [CqrsModule],
  controllers: [ApiKeysController, AuditEventsController],
  providers: [
    ApiKeyAuthenticator,
    FindAuditEventsHandler,
    InstallBootstrapKeyHandler,
    IssueApiKeyHandler,
    KnownKeys,
    ListApiKeysHandler,
    RecordLookHandler,
    RevokeApiKeyHandler,
    ViewApiKeyHandler,
    { provide: AUTHENTICATOR, useExisting: ApiKeyAuthenticator },
  ],
  exports: [AUTHENTICATOR],
})
export class AccessModule {}
