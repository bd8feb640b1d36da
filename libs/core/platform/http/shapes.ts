import 'reflect-metadata';
import { applyDecorators } from '@nestjs/common';
import { Allow } from 'class-validator';

/** A class whose decorated properties describe a body, a part of one, or a query. */
export type Shape<T extends object = object> = abstract new () => T;

/** How a property holds another shape. */
export interface Nesting {
  readonly of: () => Shape;
  readonly list?: { readonly min: number; readonly max: number };
}

/** Which of several shapes an object has, told by the one key that it has. */
export interface Union {
  readonly byKey: Readonly<Record<string, () => Shape>>;
  /** For objects that have none of the keys; undefined: that is a violation. */
  readonly otherwise?: () => Shape;
}

/** A rule over several fields; runs where each field for itself is well. Names the field at `pointer`, relative to the object. */
export interface FieldRule<T extends object> {
  (
    object: T,
  ): readonly { readonly pointer: string; readonly code: string; readonly detail: string }[];
}

const NESTING = Symbol('nesting');
const TRANSFORM = Symbol('transform');
const UNION = Symbol('union');
const EXACTLY_ONE = Symbol('exactly-one');
const RULES = Symbol('rules');

/** The property holds an object of another shape. */
export function Nested(of: () => Shape): PropertyDecorator {
  return nesting({ of });
}

/** The property holds a list of objects of another shape. */
export function NestedList(
  of: () => Shape,
  list: { readonly min: number; readonly max: number },
): PropertyDecorator {
  return nesting({ of, list });
}

// With Allow the field is known to class-validator's registry, where the reader finds the fields.
function nesting(how: Nesting): PropertyDecorator {
  return applyDecorators(Allow(), Reflect.metadata(NESTING, how)) as PropertyDecorator;
}

/**
 * This class stands for several: an object is of the shape whose key it has. With two of the keys, or none
 * and no `otherwise`, it is refused. Usage: `@OneOf({ purpose: () => A, topic: () => B }) abstract class Choice {}`.
 */
export function OneOf(
  byKey: Readonly<Record<string, () => Shape>>,
  otherwise?: () => Shape,
): (target: Shape) => void {
  return (target) => Reflect.defineMetadata(UNION, { byKey, otherwise } satisfies Union, target);
}

/** Exactly one of these fields must be there. */
export function ExactlyOne(...fields: readonly [string, string, ...string[]]) {
  return (target: Shape): void => {
    const before = (Reflect.getMetadata(EXACTLY_ONE, target) ?? []) as readonly string[][];
    Reflect.defineMetadata(EXACTLY_ONE, [...before, fields], target);
  };
}

/** A rule over several fields of this shape. */
export function Rule<T extends object>(rule: FieldRule<T>): (target: Shape<T>) => void {
  return (target) => {
    const before = (Reflect.getMetadata(RULES, target) ?? []) as readonly FieldRule<T>[];
    Reflect.defineMetadata(RULES, [...before, rule], target);
  };
}

/** What a valid value becomes: its one normal spelling. */
export function Normalised(transform: (value: never) => unknown): PropertyDecorator {
  return Reflect.metadata(TRANSFORM, transform);
}

export function nestingOf(shape: Shape, property: string): Nesting | undefined {
  return Reflect.getMetadata(NESTING, shape.prototype as object, property) as Nesting | undefined;
}

export function transformOf(
  shape: Shape,
  property: string,
): ((value: never) => unknown) | undefined {
  return Reflect.getMetadata(TRANSFORM, shape.prototype as object, property) as
    ((value: never) => unknown) | undefined;
}

/** The class's own: a subclass of a union is one of its shapes. */
export function unionOf(shape: Shape): Union | undefined {
  return Reflect.getOwnMetadata(UNION, shape) as Union | undefined;
}

export function exactlyOneOf(shape: Shape): readonly (readonly string[])[] {
  return (Reflect.getMetadata(EXACTLY_ONE, shape) ?? []) as readonly (readonly string[])[];
}

export function rulesOf(shape: Shape): readonly FieldRule<object>[] {
  return (Reflect.getMetadata(RULES, shape) ?? []) as readonly FieldRule<object>[];
}
