import { type DynamicModule, Module } from '@nestjs/common';
import type { Runtime } from '#core/runtime/runtime.js';
import { RuntimeModule } from '#core/runtime/runtime.module.js';
import { SlicesModule } from '#domains/slices.module.js';

/** All slices, for their projections, reactions and jobs. */
@Module({})
export class WorkerModule {
  static readonly over = (runtime: Runtime): DynamicModule => ({
    module: WorkerModule,
    imports: [RuntimeModule.with(runtime), SlicesModule.over(runtime)],
  });
}
