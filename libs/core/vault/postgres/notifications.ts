import type pg from 'pg';

/**
 * Hints from other processes: `vault_destroyed` with the owner, `vault_rotated`. Losing them costs no more
 * than the seconds that a cache lives. Takes one connection of the pool for as long as it listens.
 */
export class Notifications {
  #client: pg.PoolClient | undefined;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(
    private readonly pool: pg.Pool,
    private readonly on: {
      destroyed(owner: string): void;
      rotated(): void;
      /** Listening begins, again perhaps: some may have been missed. */
      listening(): void;
    },
  ) {}

  async listen(): Promise<void> {
    let client: pg.PoolClient;
    try {
      client = await this.pool.connect();
    } catch {
      return this.#listenLater();
    }
    if (this.#closed) return client.release();
    const lost = (): void => {
      if (this.#client !== client) return;
      this.#letGo();
      this.#listenLater();
    };
    this.#client = client;
    client.on('notification', this.#heard);
    // Stays on after the client was let go: a late error must not end the process.
    client.on('error', lost);
    client.on('end', lost);
    await client
      .query('listen vault_destroyed; listen vault_rotated')
      .then(() => this.on.listening(), lost);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#letGo();
  }

  readonly #heard = ({ channel, payload }: pg.Notification): void => {
    if (channel === 'vault_destroyed' && payload !== undefined) this.on.destroyed(payload);
    if (channel === 'vault_rotated') this.on.rotated();
  };

  #listenLater(): void {
    if (this.#closed) return;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => void this.listen(), 1_000);
    this.#retry.unref();
  }

  #letGo(): void {
    const client = this.#client;
    this.#client = undefined;
    client?.off('notification', this.#heard);
    client?.release(true);
  }
}
