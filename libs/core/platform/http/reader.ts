import {
  getMetadataStorage,
  type ValidationArguments,
  type ValidatorConstraintInterface,
} from 'class-validator';
import type { Violation } from '#core/kernel/refused.js';
import { escaped } from './json-body.js';
import {
  exactlyOneOf,
  nestingOf,
  type Nesting,
  rulesOf,
  type Shape,
  transformOf,
  unionOf,
} from './shapes.js';
import { codeOf, DETAILS, isOfKind } from './violation-codes.js';

/**
 * Reads an object into a shape by the rules that its class-validator decorators declare. It walks the
 * object itself rather than calling class-validator's executor, because the contract asks for what that
 * does not give: a JSON Pointer to every violation through lists and unions, `required` apart from `wrong
 * kind`, null apart from absent, and no promise for each field.
 */
export interface Reader {
  /** The instance; or undefined where something was added to `violations`. */
  read(value: unknown, pointer: string, violations: Violation[]): object | undefined;
}

/** More are not listed: an answer must not outgrow its request. */
const MAX_VIOLATIONS = 1_000;
const MAX_NAME = 128;

/** One rule on a field. */
export interface Check {
  /** The name of the constraint, `maxLength`, and the arguments of its decorator. */
  readonly name: string;
  readonly constraints: readonly unknown[];
  readonly code: string;
  readonly detail: string;
  readonly constraint: ValidatorConstraintInterface;
}

export interface Field {
  readonly name: string;
  readonly optional: boolean;
  /** Rules on the value, those on its kind first. */
  readonly checks: readonly Check[];
  /** Rules on each item, where the value is a list. */
  readonly itemChecks: readonly Check[];
  readonly nesting: Nesting | undefined;
  readonly transform: ((value: never) => unknown) | undefined;
}

const readers = new Map<Shape, Reader>();
const fields = new Map<Shape, ReadonlyMap<string, Field>>();

/** The reader of a shape; made once. Throws where a class is declared in a way that would leave a part unread. */
export function readerOf(shape: Shape): Reader {
  let reader = readers.get(shape);
  if (!reader) {
    // Known before it is built: shapes may hold themselves.
    reader = unionOf(shape) ? new UnionReader(shape) : new ObjectReader(shape);
    readers.set(shape, reader);
  }
  return reader;
}

/** Whether a class describes a shape at all. */
export function isShape(type: unknown): type is Shape {
  if (typeof type !== 'function') return false;
  const shape = type as unknown as Shape;
  return readers.has(shape) || unionOf(shape) !== undefined || metadataOf(shape).length > 0;
}

/** The shapes that `shape` is made of, itself included: those it holds, and those a union stands for. */
export function shapesWithin(shape: Shape, found = new Set<Shape>()): ReadonlySet<Shape> {
  if (found.has(shape)) return found;
  found.add(shape);
  const union = unionOf(shape);
  const inner = union
    ? [...Object.values(union.byKey), ...(union.otherwise ? [union.otherwise] : [])]
    : [...fieldsOf(shape).values()].flatMap(({ nesting }) => nesting?.of ?? []);
  for (const of of inner) shapesWithin(of(), found);
  return found;
}

class ObjectReader implements Reader {
  private readonly fields: ReadonlyMap<string, Field>;
  private readonly exactlyOne: readonly (readonly string[])[];

  constructor(private readonly shape: Shape) {
    this.fields = fieldsOf(shape);
    this.exactlyOne = exactlyOneOf(shape);
  }

  read(value: unknown, pointer: string, violations: Violation[]): object | undefined {
    if (!isObject(value)) {
      violations.push(notAnObject(pointer));
      return undefined;
    }
    const before = violations.length;
    const instance = new (this.shape as new () => Record<string, unknown>)();
    for (const field of this.fields.values())
      this.readField(field, value, instance, pointer, violations);
    for (const name of Object.keys(value))
      if (!this.fields.has(name) && violations.length < MAX_VIOLATIONS)
        violations.push({
          // A name of any length would make an answer of any length.
          pointer: name.length > MAX_NAME ? pointer : `${pointer}/${escaped(name)}`,
          code: 'unknown-field',
          detail: 'there is no field of this name here',
        });
    for (const names of this.exactlyOne) checkExactlyOne(names, value, pointer, violations);
    if (violations.length > before) return undefined;
    for (const rule of rulesOf(this.shape))
      for (const broken of rule(instance))
        violations.push({ ...broken, pointer: pointer + broken.pointer });
    return violations.length > before ? undefined : instance;
  }

  private readField(
    field: Field,
    object: Record<string, unknown>,
    instance: Record<string, unknown>,
    within: string,
    violations: Violation[],
  ): void {
    if (violations.length >= MAX_VIOLATIONS) return;
    // Made only where something is wrong: most fields need no pointer.
    const at = () => `${within}/${escaped(field.name)}`;
    const value = Object.hasOwn(object, field.name) ? object[field.name] : undefined;
    if (value === undefined) {
      if (!field.optional)
        violations.push({ pointer: at(), code: 'required', detail: 'is required' });
      return;
    }
    const before = violations.length;
    const check = (checks: readonly Check[], of: unknown, item = ''): void => {
      for (const one of checks) {
        if (passes(one, of, object, field.name, this.shape)) continue;
        violations.push({ pointer: at() + item, code: one.code, detail: one.detail });
        if (isOfKind(one.name)) return;
      }
    };
    check(field.checks, value);
    if (violations.length > before) return;
    if (field.itemChecks.length > 0) {
      if (!Array.isArray(value)) violations.push(notAnArray(at()));
      else
        for (let i = 0; i < value.length && violations.length < MAX_VIOLATIONS; i++)
          check(field.itemChecks, value[i], `/${i}`);
      if (violations.length > before) return;
    }
    if (field.nesting) instance[field.name] = readNested(field.nesting, value, at(), violations);
    else if (field.transform) instance[field.name] = field.transform(value as never);
    else instance[field.name] = value;
  }
}

class UnionReader implements Reader {
  constructor(private readonly shape: Shape) {}

  read(value: unknown, pointer: string, violations: Violation[]): object | undefined {
    if (!isObject(value)) {
      violations.push(notAnObject(pointer));
      return undefined;
    }
    const { byKey, otherwise } = unionOf(this.shape) as NonNullable<ReturnType<typeof unionOf>>;
    const names = Object.keys(byKey);
    const present = names.filter((name) => Object.hasOwn(value, name));
    const [chosen, second] = present;
    if (second !== undefined) {
      violations.push(ambiguous(names, `${pointer}/${escaped(second)}`));
      return undefined;
    }
    const of = chosen === undefined ? otherwise : byKey[chosen];
    if (!of) {
      violations.push(missing(names, pointer));
      return undefined;
    }
    return readerOf(of()).read(value, pointer, violations);
  }
}

/**
 * What a query's parameters are once converted to the kind that their rules ask for: `7` to a number, `true`
 * to a boolean, one value to a list of one. What does not convert stays text, and its rule refuses it.
 */
export function convertedQuery(
  shape: Shape,
  query: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const known = fieldsOf(shape);
  // A parameter may be named __proto__.
  const converted = Object.create(null) as Record<string, unknown>;
  for (const [name, value] of Object.entries(query)) {
    const kind = known.get(name)?.checks.find((check) => isOfKind(check.name))?.name;
    if (kind === 'isArray') converted[name] = Array.isArray(value) ? value : [value];
    else if ((kind === 'isInt' || kind === 'isNumber') && /^-?\d{1,15}$/.test(String(value)))
      converted[name] = Number(value);
    else if (kind === 'isBoolean' && (value === 'true' || value === 'false'))
      converted[name] = value === 'true';
    else converted[name] = value;
  }
  return converted;
}

function readNested(
  { of, list }: Nesting,
  value: unknown,
  pointer: string,
  violations: Violation[],
): object | undefined {
  const reader = readerOf(of());
  if (!list) return reader.read(value, pointer, violations);
  if (!Array.isArray(value)) {
    violations.push(notAnArray(pointer));
    return undefined;
  }
  if (value.length < list.min) {
    const detail = `must have at least ${list.min} ${list.min === 1 ? 'item' : 'items'}`;
    violations.push({ pointer, code: 'too-few', detail });
    return undefined;
  }
  if (value.length > list.max) {
    violations.push({ pointer, code: 'too-many', detail: `must have at most ${list.max} items` });
    return undefined;
  }
  return value.map((item, i) => reader.read(item, `${pointer}/${i}`, violations));
}

function checkExactlyOne(
  names: readonly string[],
  value: Record<string, unknown>,
  pointer: string,
  violations: Violation[],
): void {
  const present = names.filter((name) => Object.hasOwn(value, name));
  if (present.length === 0) violations.push(missing(names, pointer));
  for (const name of present.slice(1))
    violations.push(ambiguous(names, `${pointer}/${escaped(name)}`));
}

function missing(names: readonly string[], pointer: string): Violation {
  return {
    pointer,
    code: 'required',
    detail: `one of these fields is required: ${names.join(', ')}`,
  };
}

function ambiguous(names: readonly string[], pointer: string): Violation {
  return {
    pointer,
    code: 'ambiguous',
    detail: `only one of these fields may be given: ${names.join(', ')}`,
  };
}

function passes(
  check: Check,
  value: unknown,
  object: object,
  property: string,
  shape: Shape,
): boolean {
  return (
    check.constraint.validate(value, {
      value,
      object,
      property,
      constraints: check.constraints as unknown[],
      targetName: shape.name,
    }) === true
  );
}

function notAnObject(pointer: string): Violation {
  return { pointer, code: 'not-an-object', detail: 'must be an object' };
}

function notAnArray(pointer: string): Violation {
  return { pointer, code: 'not-an-array', detail: 'must be an array' };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

type Metadata = ReturnType<
  ReturnType<typeof getMetadataStorage>['getTargetValidationMetadatas']
>[number];

function metadataOf(shape: Shape): readonly Metadata[] {
  return getMetadataStorage().getTargetValidationMetadatas(shape, '', false, false);
}

/** The fields of a shape that is no union, by name. */
export function fieldsOf(shape: Shape): ReadonlyMap<string, Field> {
  const known = fields.get(shape);
  if (known) return known;
  const all = metadataOf(shape);
  const names = [...new Set(all.map(({ propertyName }) => propertyName))];
  const found = new Map(
    names.map((name) => [
      name,
      fieldOf(
        shape,
        name,
        all.filter((one) => one.propertyName === name),
      ),
    ]),
  );
  fields.set(shape, found);
  return found;
}

function fieldOf(shape: Shape, name: string, metadata: readonly Metadata[]): Field {
  const checks: Check[] = [];
  const itemChecks: Check[] = [];
  const nesting = nestingOf(shape, name);
  let optional = false;
  for (const one of metadata) {
    switch (one.type) {
      case 'customValidation':
        (one.each ? itemChecks : checks).push(...checksOf(one));
        break;
      case 'conditionalValidation':
        // Absent is not the same as null: a null is a value of a wrong kind.
        if (one.name !== 'isOptional')
          throw new Error(`${shape.name}.${name}: use @OneOf or @Rule rather than @ValidateIf`);
        optional = true;
        break;
      case 'whitelistValidation':
        optional ||= metadata.length === 1 && !nesting;
        break;
      default:
        throw new Error(
          `${shape.name}.${name}: use @Nested or @NestedList rather than ${one.type}`,
        );
    }
  }
  const kindFirst = (a: Check, b: Check) => Number(isOfKind(b.name)) - Number(isOfKind(a.name));
  return {
    name,
    optional,
    checks: checks.sort(kindFirst),
    itemChecks: itemChecks.sort(kindFirst),
    nesting,
    transform: transformOf(shape, name),
  };
}

function checksOf(metadata: Metadata): Check[] {
  const constraints = (metadata.constraints ?? []) as readonly unknown[];
  return getMetadataStorage()
    .getTargetValidatorConstraints(metadata.constraintCls)
    .map((declared) => {
      if (declared.async)
        throw new Error(`${declared.name}: a rule of a shape must not be asynchronous`);
      const name = metadata.name ?? declared.name;
      const context = metadata.context as { code?: string; detail?: string } | undefined;
      const constraint = declared.instance as ValidatorConstraintInterface;
      return {
        name,
        constraints,
        code: context?.code ?? codeOf(name),
        detail: context?.detail ?? detailOf(name, constraint, constraints, metadata),
        constraint,
      };
    });
}

/** The rule in words, from its arguments alone: whatever a message says of the value is left out. */
function detailOf(
  name: string,
  constraint: ValidatorConstraintInterface,
  constraints: readonly unknown[],
  metadata: Metadata,
): string {
  const known = DETAILS[name];
  const noValue: ValidationArguments = {
    value: undefined,
    object: {},
    property: '$property',
    constraints: constraints as unknown[],
    targetName: '',
  };
  const { message } = metadata;
  if (typeof message === 'string') return cleaned(message, constraints);
  if (typeof message === 'function') return cleaned(message(noValue), constraints);
  if (known) return known(constraints);
  return cleaned(constraint.defaultMessage?.(noValue) ?? 'is not acceptable', constraints);
}

function cleaned(message: string, constraints: readonly unknown[]): string {
  return message
    .replace(/^(each value in )?\$property /, '')
    .replaceAll('$property', 'the value')
    .replaceAll('$value', 'the value')
    .replaceAll('$target', '')
    .replace(/\$constraint(\d+)/g, (_, n: string) => String(constraints[Number(n) - 1]));
}
