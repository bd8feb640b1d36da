import { RequestMethod } from '@nestjs/common';
import { readConfig } from '#core/platform/config.js';
import { createApplication } from '#core/platform/http/application.js';
import { type Access, accessOf } from '#core/platform/http/auth.guard.js';
import { routesOf } from '#core/platform/http/routes.js';
import { openLog } from '#core/platform/logging.js';
import type { Runtime } from '#core/runtime/runtime.js';
import { AppModule } from '../../apps/server/app.module.js';
import type { Method } from './server.js';

export interface DeclaredRoute {
  readonly method: Method;
  /** As declared: `/v1/subjects/:id`. */
  readonly path: string;
  readonly access: Access;
}

/** Every route that the application has, and what it asks of its caller; no store is opened. */
export async function declaredRoutes(): Promise<DeclaredRoute[]> {
  const { nest } = await createApplication(AppModule.over({} as Runtime), readConfig({}), {
    preview: true,
    logger: openLog('silent'),
  });
  try {
    return routesOf(nest).map(({ controller, handler, name }) => {
      const access = accessOf(handler, controller);
      if (!access) throw new Error(`${name} declares no access`);
      const method = RequestMethod[Reflect.getMetadata('method', handler) as RequestMethod];
      const parts = [controller, handler].map((of) => Reflect.getMetadata('path', of) as string);
      const path = `/${parts.join('/')}`.replace(/\/{2,}/g, '/').replace(/(?<=.)\/$/, '');
      return { method: method as Method, path, access };
    });
  } finally {
    await nest.close();
  }
}
