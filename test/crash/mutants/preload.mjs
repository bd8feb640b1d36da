// Loaded into a compiled process before anything else: breaks one thing on purpose. Nothing of the product knows of it.
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import pg from 'pg';

const { CRASH_MUTANT, CRASH_DIST } = process.env;
const core = (path) => import(pathToFileURL(join(CRASH_DIST, 'libs', 'core', path)));

const mutants = {
  /** A projector writes whatever happened since it was given the lease, and gives nothing away. */
  'no-fence': async () => {
    rewriteProjector((statement) =>
      statement.replace(
        /\b(?:c\.epoch = (own\.epoch)|position = (\$\d+::bigint)(?=\s*returning))/g,
        '($1$2 is not null)',
      ),
    );
    const { Driving } = await core('projector/driving.js');
    const { fitToShare } = Driving.prototype;
    Driving.prototype.fitToShare = function keepsWhatItHas(...asked) {
      const { options, leases } = this;
      const held = leases.flatMap(({ epochs }) => [...epochs.keys()]);
      // Read before its first await.
      this.options = { ...options, wanted: () => new Set([...options.wanted(), ...held]) };
      const fitting = fitToShare.apply(this, asked);
      this.options = options;
      return fitting;
    };
  },

  /** What was asked before is known to the process alone that was asked: another one derives other ids of it. */
  'own-memory': async () => {
    const { IdempotencyInterceptor } = await core('platform/http/idempotency.js');
    const { intercept } = IdempotencyInterceptor.prototype;
    const mine = randomUUID();
    IdempotencyInterceptor.prototype.intercept = function interceptAlone(...asked) {
      const { digest } = this;
      const alone = { digest: (use, ...parts) => digest.digest(use, mine, ...parts) };
      return intercept.apply(Object.assign(Object.create(this), { digest: alone }), asked);
    };
  },

  /** A key in memory is good until somebody says otherwise. */
  'keys-for-ever': async () => {
    const { KeyCache } = await core('vault/key-cache.js');
    const { ticket } = KeyCache.prototype;
    KeyCache.prototype.ticket = function ticketForEver() {
      return { ...ticket.call(this), expires: Infinity };
    };
  },
};

function rewriteProjector(rewrite) {
  const { query } = pg.Client.prototype;
  pg.Client.prototype.query = function mutated(statement, ...more) {
    // What is appended stays whole.
    const ours = this.connectionParameters.application_name === 'consent-ledger projector';
    return query.call(this, ours ? rewritten(statement, rewrite) : statement, ...more);
  };
}

/** A session that plans its statements once gives each of them a name. */
function rewritten(statement, rewrite) {
  if (typeof statement === 'string') return rewrite(statement);
  return typeof statement?.text === 'string'
    ? { ...statement, text: rewrite(statement.text) }
    : statement;
}

await mutants[CRASH_MUTANT]();
