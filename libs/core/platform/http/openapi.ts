import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import { accessOf } from './auth.guard.js';
import { headersOf } from './documented.js';
import { parametersOf, reference, schemasOf } from './json-schema.js';
import { NDJSON } from './ndjson.js';
import {
  type AnswerNote,
  type BodyOf,
  type JsonSchema,
  operationOf,
  type OperationNote,
} from './operation.js';
import { routesOf, shapesTaken, type Route } from './routes.js';
import { SCOPES } from '#core/kernel/scopes.js';
import { isShape } from './reader.js';
import type { Shape } from './shapes.js';

/** What the document says of itself. */
export interface DocumentInfo {
  readonly title: string;
  readonly version: string;
  readonly description: string;
}

type Part = Record<string, unknown>;
interface Operation extends Part {
  operationId: string;
  parameters?: Part[];
  requestBody?: Part;
  responses: Record<string, Part>;
}

const SCHEMAS = '#/components/schemas/';

/**
 * The OpenAPI 3.1 document of the application. Paths come from Nest; bodies, queries, rights, headers and
 * refusals from the decorators that also enforce them. The same routes always give the same text.
 */
export function openApiOf(nest: INestApplication, info: DocumentInfo): object {
  const document = SwaggerModule.createDocument(
    nest,
    new DocumentBuilder()
      .setOpenAPIVersion('3.1.0')
      .setTitle(info.title)
      .setVersion(info.version)
      .setDescription(info.description)
      .addBearerAuth({ type: 'http', scheme: 'bearer', description: describedScopes() }, 'bearer')
      .build(),
    { operationIdFactory: (controller, method) => `${controller}.${method}` },
  ) as unknown as { paths: Record<string, Record<string, Operation>>; components: Part };
  const routes = new Map(routesOf(nest).map((route) => [route.name, route]));
  const shapes = new Set<Shape>();
  for (const [path, operations] of Object.entries(document.paths))
    for (const [method, operation] of Object.entries(operations)) {
      const route = routes.get(operation.operationId);
      if (!route) throw new Error(`${method} ${path} is no route of a controller`);
      operations[method] = operationOfRoute(route, method, operation, shapes);
    }
  document.components['schemas'] = { ...schemasOf(shapes, SCHEMAS), Problem: PROBLEM };
  return sorted(document) as object;
}

/** The document as it is kept in the repository. */
export function openApiText(nest: INestApplication, info: DocumentInfo): string {
  return `${JSON.stringify(openApiOf(nest, info), null, 2)}\n`;
}

function operationOfRoute(
  route: Route,
  method: string,
  found: Operation,
  shapes: Set<Shape>,
): Operation {
  const note = operationOf(route.handler);
  const access = accessOf(route.handler, route.controller);
  const scopes = access?.kind === 'scopes' ? access.anyOf : [];
  const headers = headersOf(route.controller.prototype as object, route.methodName);
  const query = queryShapeOf(route, found);
  const body = bodyOf(route, found, note, shapes);
  const parameters = [
    ...(found.parameters ?? [])
      .filter((parameter) => parameter['in'] === 'path')
      .map((parameter) => ({
        ...parameter,
        // What is called so in the path is `*` to Fastify.
        ...(parameter['name'] === '*' ? { name: 'path' } : {}),
        schema: { type: 'string' },
      })),
    ...(query ? parametersOf(query) : []),
    ...headers.map(headerParameter),
  ].sort(byPlaceAndName);
  const hasId = parameters.some((parameter) => (parameter as Part)['in'] === 'path');
  return {
    operationId: operationIdOf(route),
    tags: [note?.tag ?? route.controller.name.replace(/Controller$/, '').toLowerCase()],
    ...(note ? { summary: note.summary } : {}),
    description: [
      note?.description ?? '',
      scopes.length > 0 ? `Needs the scope ${scopes.map((one) => `\`${one}\``).join(' or ')}.` : '',
    ]
      .filter((text) => text !== '')
      .join('\n\n'),
    ...(scopes.length > 0
      ? { security: [{ bearer: [] }], 'x-required-scope': scopes.length === 1 ? scopes[0] : scopes }
      : { security: [] }),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body ? { requestBody: body } : {}),
    responses: {
      ...answersOf(note, found, headers, shapes),
      ...problemsOf({
        note,
        method,
        headers,
        hasBody: body !== undefined,
        hasQuery: query !== undefined,
        hasId,
        isPublic: scopes.length === 0,
      }),
    },
  };
}

/** `SubjectsController.register` is `subjectsRegister`: what generated clients call it. */
function operationIdOf({ controller, methodName }: Route): string {
  const slice = controller.name.replace(/Controller$/, '');
  return (
    slice.charAt(0).toLowerCase() +
    slice.slice(1) +
    methodName.charAt(0).toUpperCase() +
    methodName.slice(1)
  );
}

function queryShapeOf(route: Route, found: Operation): Shape | undefined {
  const body = bodyShapeOf(route, found);
  return shapesTaken(route).find((shape) => shape !== body);
}

function bodyShapeOf(route: Route, found: Operation): Shape | undefined {
  const text = JSON.stringify(found.requestBody ?? {});
  return shapesTaken(route).find((shape) => text.includes(`"${SCHEMAS}${shape.name}"`));
}

function bodyOf(
  route: Route,
  found: Operation,
  note: OperationNote | undefined,
  shapes: Set<Shape>,
): Part | undefined {
  if (note?.takesNdjson)
    return {
      required: true,
      description:
        'One JSON document a line, at most 1 MiB each; a line that can not be used is answered in its place.',
      content: {
        [NDJSON]: { schema: schemaFor(note.takesNdjson, shapes), ...exampleOf(note.example) },
      },
    };
  const shape = bodyShapeOf(route, found);
  if (!shape) return undefined;
  return {
    required: true,
    content: {
      'application/json': { schema: schemaFor(shape, shapes), ...exampleOf(note?.example) },
    },
  };
}

function exampleOf(example: unknown): Part {
  return example === undefined ? {} : { example };
}

function schemaFor(body: BodyOf, shapes: Set<Shape>): JsonSchema {
  if (!isShape(body)) return body as JsonSchema;
  shapes.add(body);
  return reference(body, SCHEMAS);
}

function answersOf(
  note: OperationNote | undefined,
  found: Operation,
  headers: readonly string[],
  shapes: Set<Shape>,
): Record<string, Part> {
  const replayed: Part = headers.includes('Idempotency-Key')
    ? {
        'Idempotency-Replayed': {
          description: '`true` where this is the answer to an earlier call with the same key.',
          schema: { type: 'string', const: 'true' },
        },
      }
    : {};
  const notes: Record<string, AnswerNote> = note?.answers
    ? { ...note.answers }
    : Object.fromEntries(
        Object.keys(found.responses).map((status) => [status, { description: 'As asked.' }]),
      );
  return Object.fromEntries(
    Object.entries(notes).map(([status, answer]) => {
      const described = Object.entries(answer.headers ?? {}).map(
        ([name, description]) => [name, { description, schema: { type: 'string' } }] as const,
      );
      const all = { ...replayed, ...Object.fromEntries(described) };
      return [
        status,
        {
          description: answer.description,
          ...(Object.keys(all).length > 0 ? { headers: all } : {}),
          ...contentOf(answer, shapes),
        },
      ];
    }),
  );
}

function contentOf(answer: AnswerNote, shapes: Set<Shape>): Part {
  const { body, ndjson, events, file } = answer;
  const example = exampleOf(answer.example);
  const as = (type: string, of: BodyOf, comment?: string): Part => ({
    content: {
      [type]: {
        schema:
          comment === undefined
            ? schemaFor(of, shapes)
            : { $comment: comment, ...schemaFor(of, shapes) },
        ...example,
      },
    },
  });
  if (body) return as('application/json', body);
  if (ndjson)
    return as(NDJSON, ndjson, 'Describes one line; the answer is one JSON document a line.');
  if (events) return as('text/event-stream', events, 'Describes the data of one event.');
  // Of a file there is nothing to say but its kind (OpenAPI 3.1, 4.8.14.2), and what one looks like.
  if (file) return { content: { [file]: example } };
  return {};
}

const HEADERS: Readonly<Record<string, Part>> = {
  'Idempotency-Key': {
    required: true,
    description:
      'A random text of your own, 1 to 255 visible ASCII characters, the same for every repetition of this call. Kept for 30 days.',
    schema: { type: 'string', minLength: 1, maxLength: 255 },
  },
  'If-Match': {
    required: false,
    description: 'The revision you decided by, as `ETag` gave it: `"12"`. Another one is 412.',
    schema: { type: 'string' },
  },
  'Consistency-Token': {
    required: false,
    description:
      'From the answer of an earlier call: the read waits up to 2 s until it can see what that call recorded, else 503.',
    schema: { type: 'string' },
  },
  'Last-Event-ID': {
    required: false,
    description: 'The id of the last event that was received: the stream goes on after it.',
    schema: { type: 'string' },
  },
};

function headerParameter(name: string): Part {
  return { name, in: 'header', ...HEADERS[name] };
}

function problemsOf(of: {
  note: OperationNote | undefined;
  method: string;
  headers: readonly string[];
  hasBody: boolean;
  hasQuery: boolean;
  hasId: boolean;
  isPublic: boolean;
}): Record<string, Part> {
  const { note, headers } = of;
  const idempotent = headers.includes('Idempotency-Key');
  const texts: Record<number, Refusals | undefined> = {
    ...(of.hasBody || of.hasQuery || headers.length > 0
      ? {
          400: [
            'Can not be read: the JSON, its encoding, a parameter or a header.',
            [
              ...(of.hasBody ? ['malformed-json', 'invalid-utf8'] : []),
              ...(idempotent ? ['idempotency-key-required'] : []),
            ],
          ],
        }
      : {}),
    ...(of.isPublic
      ? {}
      : {
          401: [
            'Nobody known is signed in.',
            ['credentials-missing', 'credentials-malformed', 'credentials-invalid'],
          ],
          403: ['The caller lacks the scope.', ['scope-missing']],
        }),
    ...(of.hasId ? { 404: ['There is nothing with this id.', []] } : {}),
    ...(idempotent
      ? {
          409: [
            'It contradicts what is recorded or under way.',
            ['idempotency-in-flight', 'conflict'],
          ],
        }
      : {}),
    ...(idempotent && of.hasId ? { 410: ['The person was erased.', ['subject-erased']] } : {}),
    ...(headers.includes('If-Match')
      ? { 412: ['The revision is another one.', ['revision-mismatch']] }
      : {}),
    ...(of.hasBody
      ? {
          413: ['The body, or a line of it, is larger than 1 MiB.', ['body-too-large']],
          415: ['The body is of another kind.', ['unsupported-media-type']],
        }
      : {}),
    ...(of.hasBody || idempotent
      ? {
          422: [
            'Was read but is not acceptable; all violations at once.',
            [
              ...(of.hasBody ? ['invalid-body'] : []),
              ...(idempotent ? ['idempotency-key-reused'] : []),
            ],
          ],
        }
      : {}),
    429: ['Too many requests; see Retry-After.', ['too-many-requests']],
    503: [
      'Can not be answered now; see Retry-After. Repeat it with the same Idempotency-Key.',
      ['unavailable', 'too-late', ...(idempotent ? ['outcome-unknown'] : [])],
    ],
  };
  for (const [status, codes] of Object.entries(note?.problems ?? {})) {
    const [text, known] = texts[Number(status)] ?? ['Refused.', []];
    texts[Number(status)] = [text, [...known, ...codes]];
  }
  return Object.fromEntries(
    Object.entries(texts).flatMap(([status, refusals]) =>
      refusals ? [[status, problemAnswer(Number(status), ...refusals)]] : [],
    ),
  );
}

type Refusals = readonly [text: string, codes: readonly string[]];

function problemAnswer(status: number, text: string, codes: readonly string[]): Part {
  const listed = [...new Set(codes)];
  const headers: Part = {
    ...(status === 401 ? { 'WWW-Authenticate': { schema: { type: 'string' } } } : {}),
    ...(status === 429 || status === 503
      ? { 'Retry-After': { description: 'Seconds.', schema: { type: 'string' } } }
      : {}),
  };
  return {
    description:
      listed.length === 0
        ? text
        : `${text} Codes: ${listed.map((code) => `\`${code}\``).join(', ')}.`,
    ...(Object.keys(headers).length > 0 ? { headers } : {}),
    content: { 'application/problem+json': { schema: { $ref: `${SCHEMAS}Problem` } } },
  };
}

const PROBLEM: JsonSchema = {
  description:
    'What went wrong (RFC 9457), and by its code what to do. Repeats no value of the request.',
  type: 'object',
  required: ['code', 'detail', 'status', 'title', 'traceId', 'type'],
  properties: {
    type: { type: 'string', format: 'uri-reference', description: 'A path, one for each code.' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    code: { type: 'string', pattern: '^[a-z0-9-]+$', description: 'Stable; decide by it.' },
    traceId: { type: 'string', pattern: '^[0-9a-f]{32}$', description: 'Finds it in the log.' },
    errors: {
      type: 'array',
      items: {
        type: 'object',
        required: ['code', 'detail'],
        properties: {
          pointer: { type: 'string', format: 'json-pointer', description: 'Into the body.' },
          parameter: { type: 'string', description: 'Of the query, or a header.' },
          code: { type: 'string' },
          detail: { type: 'string' },
        },
      },
    },
  },
  examples: [
    {
      type: '/problems/invalid-body',
      title: 'Invalid body',
      status: 422,
      detail: 'The body was read but is not acceptable; see errors.',
      code: 'invalid-body',
      traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
      errors: [{ pointer: '/choices/0/decision', code: 'required', detail: 'is required' }],
    },
  ],
};

function describedScopes(): string {
  return `An API key, \`clk_...\`. Scopes: ${SCOPES.map((scope) => `\`${scope}\``).join(', ')}.`;
}

function byPlaceAndName(a: Part, b: Part): number {
  const [x, y] = [a, b].map((one) => `${String(one['in'])} ${String(one['name'])}`) as [
    string,
    string,
  ];
  return x < y ? -1 : x > y ? 1 : 0;
}

/** Objects with their keys in order, so that the text depends on the routes alone. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, inner]) => inner !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}
