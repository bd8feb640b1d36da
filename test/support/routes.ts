import { type INestApplicationContext, RequestMethod } from '@nestjs/common';
import { type Access, accessOf } from '#core/platform/http/auth.guard.js';
import { routesOf } from '#core/platform/http/routes.js';
import type { Method } from './server.js';

export interface DeclaredRoute {
  readonly method: Method;
  /** As declared: `/v1/subjects/:id`. */
  readonly path: string;
  readonly access: Access;
}

/** Every route that the application has, and what it asks of its caller. */
export function declaredRoutes(nest: INestApplicationContext): readonly DeclaredRoute[] {
  return routesOf(nest).map(({ controller, handler, name }) => {
    const access = accessOf(handler, controller);
    if (!access) throw new Error(`${name} declares no access`);
    const method = RequestMethod[Reflect.getMetadata('method', handler) as RequestMethod];
    const parts = [controller, handler].map((of) => Reflect.getMetadata('path', of) as string);
    const path = `/${parts.join('/')}`.replace(/\/{2,}/g, '/').replace(/(?<=.)\/$/, '');
    return { method: method as Method, path, access };
  });
}
