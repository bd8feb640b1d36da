import { type DynamicModule, Global, Module } from '@nestjs/common';
import type { Logger } from 'pino';
import { systemClock } from '#core/kernel/instant.js';
import { Config } from './config.js';
import { HealthController } from './http/health.controller.js';
import { HealthChecks } from './http/health.js';
import { OpenApiController, OpenApiDocument } from './http/openapi.controller.js';
import { Lifecycle } from './lifecycle.js';
import { Metrics } from './metrics.js';
import { CLOCK, LOGGER } from './tokens.js';

/**
 * What every other module may have injected: Config, LOGGER, CLOCK, Lifecycle, Metrics, HealthChecks. It expects
 * AUTHENTICATOR, IDEMPOTENCY_STORE and DIGEST from a global module of the application.
 */
@Global()
@Module({})
export class PlatformModule {
  static with(given: { config: Config; logger: Logger; lifecycle: Lifecycle }): DynamicModule {
    const providers = [
      { provide: Config, useValue: given.config },
      { provide: LOGGER, useValue: given.logger },
      { provide: Lifecycle, useValue: given.lifecycle },
      { provide: CLOCK, useValue: systemClock },
      { provide: Metrics, useClass: Metrics },
      { provide: HealthChecks, useClass: HealthChecks },
      { provide: OpenApiDocument, useClass: OpenApiDocument },
    ];
    return {
      module: PlatformModule,
      controllers: [HealthController, OpenApiController],
      providers,
      exports: providers.map(({ provide }) => provide),
    };
  }
}
