import type { INestApplicationContext, RequestMethod, Type } from '@nestjs/common';
import { MetadataScanner, ModulesContainer } from '@nestjs/core';
import { accessOf } from './auth.guard.js';
import { isShape, readerOf, shapesWithin } from './reader.js';
import type { Shape } from './shapes.js';

/** A handler of some controller, as declared. */
export interface Route {
  readonly controller: Type;
  readonly handler: (...args: readonly unknown[]) => unknown;
  readonly methodName: string;
  /** `SubjectsController.register`. */
  readonly name: string;
}

// The keys under which @Get, @Post and so on leave their mark; public in effect, not by name.
const PATH = 'path';
const METHOD = 'method';

/** Every handler of every controller of the application. */
export function routesOf(application: INestApplicationContext): readonly Route[] {
  const routes: Route[] = [];
  const scanner = new MetadataScanner();
  for (const module of application.get(ModulesContainer).values())
    for (const { metatype } of module.controllers.values()) {
      const controller = metatype as Type;
      const prototype = controller.prototype as Record<string, Route['handler']>;
      for (const name of scanner.getAllMethodNames(prototype)) {
        const handler = prototype[name] as Route['handler'];
        const method = Reflect.getMetadata(METHOD, handler) as RequestMethod | undefined;
        if (method === undefined || Reflect.getMetadata(PATH, handler) === undefined) continue;
        routes.push({ controller, handler, methodName: name, name: `${controller.name}.${name}` });
      }
    }
  return routes;
}

/** Handlers that declare neither `@Requires` nor `@Public`, on themselves or their controller. */
export function undeclaredRoutes(application: INestApplicationContext): readonly string[] {
  return routesOf(application)
    .filter(({ handler, controller }) => accessOf(handler, controller) === undefined)
    .map(({ name }) => name);
}

/** The shapes that a handler's parameters have. */
export function shapesTaken({ controller, methodName }: Route): readonly Shape[] {
  const prototype = controller.prototype as object;
  const types = Reflect.getMetadata('design:paramtypes', prototype, methodName) as unknown;
  return Array.isArray(types) ? types.filter(isShape) : [];
}

/** Builds the reader of every shape that a handler takes: one that can not be read fails the start, not a request. */
export function compileShapes(application: INestApplicationContext): void {
  for (const route of routesOf(application))
    for (const shape of shapesTaken(route))
      for (const inner of shapesWithin(shape)) readerOf(inner);
}
