/** What the envelopes of this slice say they came from. */
export const SOURCE = 'access';
