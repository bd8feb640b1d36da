import { describe } from '@jest/globals';
import { startLedger } from '../support/server.js';
import { forgettingAda } from './forgetting-ada.journey.js';

describe(
  'given a catalogue and Ada, who gives her consent, takes it back and wants to be forgotten',
  forgettingAda(startLedger),
);
