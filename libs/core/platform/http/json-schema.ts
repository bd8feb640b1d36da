import { type JsonSchema, descriptionOf } from './operation.js';
import { type Check, type Field, fieldsOf, shapesWithin } from './reader.js';
import { exactlyOneOf, type Shape, unionOf } from './shapes.js';

/** JSON Schemas (2020-12) of shapes, made of the same rules that read them. */

type Schema = Record<string, unknown>;

/** What each rule says in JSON Schema; a rule that says nothing there is left to the description. */
const KEYWORDS: Readonly<Record<string, (constraints: readonly unknown[]) => Schema>> = {
  isString: () => ({ type: 'string' }),
  isInt: () => ({ type: 'integer' }),
  isNumber: () => ({ type: 'number' }),
  isBoolean: () => ({ type: 'boolean' }),
  isArray: () => ({ type: 'array' }),
  isObject: () => ({ type: 'object' }),
  isIn: ([values]) => ({ enum: values }),
  isEnum: ([, values]) => ({ enum: values }),
  equals: ([value]) => ({ const: value }),
  min: ([minimum]) => ({ minimum }),
  max: ([maximum]) => ({ maximum }),
  minLength: ([minLength]) => ({ minLength }),
  maxLength: ([maxLength]) => ({ maxLength }),
  length: ([minLength, maxLength]) => ({ minLength, maxLength }),
  isNotEmpty: () => ({ minLength: 1 }),
  matches: ([pattern]) => ({ pattern: (pattern as RegExp).source }),
  arrayMinSize: ([minItems]) => ({ minItems }),
  arrayMaxSize: ([maxItems]) => ({ maxItems }),
  arrayUnique: () => ({ uniqueItems: true }),
  isInstant: () => ({ format: 'date-time' }),
  isPeriod: () => ({ format: 'duration', pattern: '^P(?=\\d)(\\d+Y)?(\\d+M)?(\\d+W)?(\\d+D)?$' }),
  isLanguage: () => ({ minLength: 2, maxLength: 35 }),
  isCode: () => ({ pattern: '^[a-z0-9-]{1,64}$' }),
  isIdOf: ([prefix]) => ({
    pattern: `^${String(prefix)}_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`,
  }),
  isEmail: () => ({ format: 'email' }),
  isUrl: () => ({ format: 'uri' }),
};

/** The schemas of shapes and of all that they hold, by name, referring to each other below `at`. */
export function schemasOf(shapes: Iterable<Shape>, at: string): Record<string, JsonSchema> {
  const all = new Set<Shape>();
  for (const shape of shapes) shapesWithin(shape, all);
  const named = new Map<string, Shape>();
  for (const shape of all) {
    const other = named.get(shape.name);
    if (other && other !== shape) throw new Error(`two shapes are named ${shape.name}`);
    named.set(shape.name, shape);
  }
  return Object.fromEntries(
    [...named]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, shape]) => [name, schemaOf(shape, at)]),
  );
}

/** One shape's schema; shapes that it holds are references below `at`. */
export function schemaOf(shape: Shape, at: string): JsonSchema {
  const said = descriptionOf(shape);
  const about: Schema = {
    ...(said ? { description: said.text } : {}),
    ...(said?.example === undefined ? {} : { examples: [said.example] }),
  };
  const union = unionOf(shape);
  if (union) {
    const shapes = [...Object.values(union.byKey), ...(union.otherwise ? [union.otherwise] : [])];
    return { ...about, oneOf: shapes.map((of) => reference(of(), at)) };
  }
  const fields = [...fieldsOf(shape).values()];
  const required = fields.filter(({ optional }) => !optional).map(({ name }) => name);
  const choices = exactlyOneOf(shape).map((names) => ({
    oneOf: names.map((name) => ({ required: [name] })),
  }));
  return {
    ...about,
    type: 'object',
    properties: Object.fromEntries(
      fields.map((field) => [field.name, fieldSchema(shape, field, at)]),
    ),
    ...(required.length > 0 ? { required: required.sort() } : {}),
    additionalProperties: false,
    ...(choices.length === 1 ? choices[0] : choices.length > 1 ? { allOf: choices } : {}),
  };
}

/** A query's fields as parameters: their names, schemas and whether they must be there. */
export function parametersOf(shape: Shape): readonly (Schema & { name: string })[] {
  return [...fieldsOf(shape).values()].map((field) => {
    const { description, ...schema } = fieldSchema(shape, field, '');
    return {
      name: field.name,
      in: 'query',
      required: !field.optional,
      ...(description === undefined ? {} : { description }),
      schema,
    };
  });
}

export function reference(shape: Shape, at: string): JsonSchema {
  return { $ref: `${at}${shape.name}` };
}

function fieldSchema(shape: Shape, field: Field, at: string): Schema {
  const said = descriptionOf(shape, field.name);
  const { nesting } = field;
  const schema: Schema = nesting
    ? nesting.list
      ? {
          type: 'array',
          items: reference(nesting.of(), at),
          minItems: nesting.list.min,
          maxItems: nesting.list.max,
        }
      : { ...reference(nesting.of(), at) }
    : joined(field.checks);
  if (field.itemChecks.length > 0) schema['items'] = joined(field.itemChecks);
  const rules = [...field.checks, ...field.itemChecks]
    .filter(({ name }) => !(name in KEYWORDS))
    .map(({ detail }) => detail);
  const text = [
    ...(said ? [said.text] : []),
    ...(rules.length > 0 ? [`${rules.join('; ')}.`] : []),
  ];
  if (text.length > 0) schema['description'] = sentence(text.join(' '));
  if (said?.example !== undefined) schema['examples'] = [said.example];
  const initial = initialOf(shape, field.name);
  if (initial !== undefined) schema['default'] = initial;
  return schema;
}

function joined(checks: readonly Check[]): Schema {
  return Object.assign(
    {},
    ...checks.map(({ name, constraints }) => KEYWORDS[name]?.(constraints) ?? {}),
  ) as Schema;
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** What a field is where it is not sent: its initialiser. */
function initialOf(shape: Shape, field: string): unknown {
  return new (shape as new () => Record<string, unknown>)()[field];
}
