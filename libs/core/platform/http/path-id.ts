import type { PipeTransform } from '@nestjs/common';
import { type Id, isId, type Prefix } from '#core/kernel/ids.js';
import { Refused } from '#core/kernel/refused.js';

/**
 * Reads an id in a path: `@Param('id', idOf('sub', 'unknown-subject')) id: SubjectId`. What is no id at all
 * names nothing and is not found, like an id that was never given: 404 with the same code.
 */
export function idOf<P extends Prefix>(prefix: P, code: string): PipeTransform<string, Id<P>> {
  return {
    transform(value: string): Id<P> {
      if (isId(prefix, value)) return value;
      throw new Refused('not-found', code, 'There is nothing with this id.');
    },
  };
}
