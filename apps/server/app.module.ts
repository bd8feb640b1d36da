import { type DynamicModule, Module } from '@nestjs/common';
import type { Runtime } from '#core/runtime/runtime.js';
import { RuntimeModule } from '#core/runtime/runtime.module.js';
import { SlicesModule } from '#domains/slices.module.js';

/** The whole product in one process. */
@Module({})
export class AppModule {
  static readonly over = (runtime: Runtime): DynamicModule => ({
    module: AppModule,
    imports: [RuntimeModule.with(runtime), SlicesModule.over(runtime)],
  });
}
