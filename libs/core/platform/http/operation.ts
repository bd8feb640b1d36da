import { SetMetadata } from '@nestjs/common';
import type { Shape } from './shapes.js';

/** What a handler tells the OpenAPI document beyond what its decorators say already. */

/** A JSON Schema (2020-12), where there is no shape for it. */
export type JsonSchema = Readonly<Record<string, unknown>>;
export type BodyOf = Shape | JsonSchema;

/** An answer that is no problem. At most one of `body`, `ndjson`, `events` and `file`. */
export interface AnswerNote {
  readonly description: string;
  readonly body?: BodyOf;
  /** One document a line, of this shape. */
  readonly ndjson?: BodyOf;
  /** Server-sent events whose data has this shape. */
  readonly events?: BodyOf;
  /** A file of this media type. */
  readonly file?: string;
  readonly example?: unknown;
  /** Response headers, by name, in words. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface OperationNote {
  readonly summary: string;
  readonly description?: string;
  /** What the calls are grouped by; default: the controller's name. */
  readonly tag?: string;
  /** An example of the request's body. */
  readonly example?: unknown;
  /** The request's body is a stream of lines of this shape. */
  readonly takesNdjson?: BodyOf;
  readonly answers?: Readonly<Record<number, AnswerNote>>;
  /** Codes of refusals of its own, by status: `{ 409: ['already-registered'] }`. */
  readonly problems?: Readonly<Record<number, readonly string[]>>;
}

const OPERATION = Symbol('operation');
const DESCRIPTION = Symbol('description');

/** Describes a handler for the OpenAPI document. */
export function Operation(note: OperationNote): MethodDecorator {
  return SetMetadata(OPERATION, note);
}

export function operationOf(handler: object): OperationNote | undefined {
  return Reflect.getMetadata(OPERATION, handler) as OperationNote | undefined;
}

/** What a shape, or one of its fields, means and looks like. */
export interface Description {
  readonly text: string;
  readonly example?: unknown;
}

/** Describes a shape or one of its fields. */
export function Described(text: string, example?: unknown): ClassDecorator & PropertyDecorator {
  return Reflect.metadata(DESCRIPTION, { text, example } satisfies Description);
}

export function descriptionOf(shape: Shape, field?: string): Description | undefined {
  return (
    field === undefined
      ? Reflect.getOwnMetadata(DESCRIPTION, shape)
      : Reflect.getMetadata(DESCRIPTION, shape.prototype as object, field)
  ) as Description | undefined;
}
