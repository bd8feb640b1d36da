import { vouchForPages } from '#core/runtime/verify-worker.js';
import { eventCatalogue } from '#domains/slices.js';

/** A thread of `ledgerctl verify`. */

vouchForPages(eventCatalogue);
