/** One thing this process needs to do its work: a database, a store, a projection that keeps up. */
export interface HealthCheck {
  readonly name: string;
  /** MUST resolve within a second or so; a check that hangs counts as failed. Rejects, or says why not. */
  check(): Promise<HealthFinding>;
}

/** `detail` is shown to anybody: a state in words, never a value or an address. */
export interface HealthFinding {
  readonly ok: boolean;
  readonly detail?: string;
}

const TIMEOUT = 2_000;

/** The checks of all parts. Each adds its own at start. */
export class HealthChecks {
  private readonly checks = new Map<string, HealthCheck>();

  add(check: HealthCheck): void {
    this.checks.set(check.name, check);
  }

  /** All findings by name; a check that throws or hangs has failed, without its message. */
  async findings(): Promise<Readonly<Record<string, HealthFinding>>> {
    const found = await Promise.all(
      [...this.checks.values()].map(async (check) => [check.name, await findingOf(check)] as const),
    );
    return Object.fromEntries(found);
  }
}

async function findingOf(check: HealthCheck): Promise<HealthFinding> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<HealthFinding>((resolve) => {
    timer = setTimeout(() => resolve({ ok: false, detail: 'no answer in time' }), TIMEOUT);
  });
  try {
    return await Promise.race([check.check(), late]);
  } catch {
    return { ok: false, detail: 'failed' };
  } finally {
    clearTimeout(timer);
  }
}
