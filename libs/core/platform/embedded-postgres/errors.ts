export type EmbeddedPostgresFailure =
  | 'unsupported-platform'
  | 'in-use'
  | 'out-of-reach'
  | 'version-mismatch'
  | 'not-a-cluster'
  | 'setting-refused'
  | 'start-failed';

export class EmbeddedPostgresError extends Error {
  constructor(
    readonly code: EmbeddedPostgresFailure,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'EmbeddedPostgresError';
  }
}

export function isCode(error: unknown, ...codes: string[]): boolean {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  return code !== undefined && codes.includes(code);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
