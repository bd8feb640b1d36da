import { EmbeddedPostgresError } from './errors.js';

const FIXED_SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '',
  unix_socket_permissions: '0700',
  // A row that was acknowledged survives a power cut.
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  // No statement, parameter or value reaches a file or another session. An ERROR may quote a value in its primary
  // message, so below FATAL only the server's own LOG lines are kept; the client is told everything as always.
  logging_collector: 'off',
  log_destination: 'stderr',
  log_min_messages: 'log',
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
  log_statement: 'none',
  log_min_duration_statement: '-1',
  log_min_duration_sample: '-1',
  log_transaction_sample_rate: '0',
  log_duration: 'off',
  log_parameter_max_length: '0',
  log_parameter_max_length_on_error: '0',
  log_lock_waits: 'off',
  log_temp_files: '-1',
  log_autovacuum_min_duration: '-1',
  log_replication_commands: 'off',
  debug_print_parse: 'off',
  debug_print_rewritten: 'off',
  debug_print_plan: 'off',
  track_activity_query_size: '100',
};

const DEFAULT_SETTINGS: Readonly<Record<string, string>> = {
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_line_prefix: '%m [%p] ',
  log_checkpoints: 'off',
  jit: 'off',
  max_logical_replication_workers: '0',
};

export function mergeSettings(wanted: Readonly<Record<string, string>>): Record<string, string> {
  for (const name of Object.keys(wanted)) {
    if (!/^[a-z_]+$/.test(name) || name in FIXED_SETTINGS || name === 'unix_socket_directories') {
      throw new EmbeddedPostgresError(
        'setting-refused',
        `The setting "${name}" of the embedded PostgreSQL can not be changed.`,
      );
    }
  }
  return { ...DEFAULT_SETTINGS, ...wanted, ...FIXED_SETTINGS };
}
