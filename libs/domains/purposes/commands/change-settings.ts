import { Inject } from '@nestjs/common';
import { Command, CommandHandler, type ICommandHandler, QueryBus } from '@nestjs/cqrs';
import type { Clock } from '#core/kernel/instant.js';
import { occasionOf, type Requested } from '#core/kernel/requested.js';
import { Ledger, type Outcome, step } from '#core/ledger/ledger.js';
import { CLOCK } from '#core/platform/tokens.js';
import { acceptable, changeSettings, type SettingsChange } from '../domain/catalogue.js';
import { defaultViolations, within } from '../domain/catalogue-rules.js';
import { privacyCentre } from '../domain/privacy-centre.js';
import type { Controller, DefaultBasis } from '../domain/purposes.events.js';
import { AskPrivacyCentre } from '../queries/privacy-centre.message.js';
import { SETTINGS, SOURCE } from './catalogue-streams.js';

/** One kind of settings: each has a stream, and so a revision, of its own. */
export type Setting =
  | { readonly kind: 'controllers'; readonly controllers: readonly Controller[] }
  | { readonly kind: 'sources'; readonly sources: readonly string[] }
  | { readonly kind: 'defaults'; readonly bases: readonly DefaultBasis[] };

/** Adds or replaces controllers, adds sources, or puts other defaults in the place of those that there are. */
export class ChangeSettings extends Command<Outcome> {
  constructor(
    readonly setting: Setting,
    readonly requested: Requested,
  ) {
    super();
  }
}

@CommandHandler(ChangeSettings)
export class ChangeSettingsHandler implements ICommandHandler<ChangeSettings> {
  constructor(
    private readonly ledger: Ledger,
    private readonly queries: QueryBus,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async execute({ setting, requested }: ChangeSettings): Promise<Outcome> {
    const violations =
      setting.kind === 'defaults'
        ? defaultViolations(setting.bases, await this.queries.execute(new AskPrivacyCentre()))
        : [];
    return this.ledger.transact(
      SETTINGS[setting.kind],
      occasionOf(requested, { source: SOURCE }, this.clock),
      [
        step(privacyCentre, acceptable(within('/bases', violations))),
        step(privacyCentre, changeSettings(changeOf(setting))),
      ],
      requested,
    );
  }
}

function changeOf(setting: Setting): SettingsChange {
  switch (setting.kind) {
    case 'controllers':
      return { controllers: setting.controllers };
    case 'sources':
      return { sources: setting.sources };
    case 'defaults':
      return { defaultBases: setting.bases };
  }
}
