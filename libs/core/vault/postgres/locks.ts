/**
 * Advisory locks of the vault: (LOCKS, n). Owners share 64 stripes; whoever makes a key takes its owner's
 * stripe shared, whoever destroys takes it alone. Whoever writes under an epoch key takes EPOCH_LOCK
 * shared, whoever moves to the next epoch takes it alone. Always stripes in rising order, then the epoch.
 */
export const LOCKS = 0x5641554c;
export const EPOCH_LOCK = 64;
/** One process at a time recovers from a restore. */
export const OPENING_LOCK = 65;
/** One process at a time rotates. */
export const ROTATION_LOCK = 66;
