/**
 * What decorators know of a call and the OpenAPI document tells: headers that it takes, and that it is
 * idempotent or streams. Kept by method, so that a handler never describes itself twice.
 */
const HEADERS = Symbol('headers');

/** A parameter decorator that also notes which request header its handler takes. */
export function documented<Arguments extends unknown[]>(
  header: string,
  decorator: (...args: Arguments) => ParameterDecorator,
): (...args: Arguments) => ParameterDecorator {
  return (...args) =>
    (target, property, index) => {
      if (property !== undefined) noteHeader(target, property, header);
      decorator(...args)(target, property, index);
    };
}

/** Notes it on the prototype, where it is found before the method itself is decorated. */
export function noteHeader(prototype: object, method: string | symbol, header: string): void {
  const before = headersOf(prototype, method);
  Reflect.defineMetadata(HEADERS, [...new Set([...before, header])], prototype, method);
}

export function headersOf(prototype: object, method: string | symbol): readonly string[] {
  return (Reflect.getMetadata(HEADERS, prototype, method) ?? []) as readonly string[];
}
