import { Command } from '@nestjs/cqrs';
import type { ApiKeyId } from '#core/kernel/ids.js';

export interface BootstrapKey {
  readonly keyId: ApiKeyId;
  /**
   * - installed: by this call
   * - present: it was installed before, and is the one that was given, where one was
   * - other: it was installed before with another secret; what was given opens nothing
   * - revoked: it was installed before and taken back, as whoever has keys of their own should do
   */
  readonly state: 'installed' | 'present' | 'other' | 'revoked';
  /** To be shown once: only where none was given, and one was made and installed. */
  readonly secret?: string;
}

/**
 * At every start. The first start of a ledger installs a key with every scope, the one given or one that
 * is made; later starts and other processes change nothing. To lose no secret to a crash between
 * installing and writing it down, make it first, keep it, and give it here.
 */
export class InstallBootstrapKey extends Command<BootstrapKey> {
  constructor(readonly given?: string) {
    super();
  }
}
