import { describe, expect, it } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { readBody } from '#core/platform/http/validated-body.js';
import * as examples from './catalogue.examples.js';
import * as schemas from './catalogue.schemas.js';
import {
  CatalogueBody,
  ControllerBody,
  DefaultsBody,
  NoticeBody,
  PurposeBody,
  TopicBody,
} from './catalogue.shapes.js';

const ajv = new Ajv2020({ strict: false, allErrors: true });
formats.default(ajv);

describe('what the document shows', () => {
  it.each([
    [schemas.purposeSchema, examples.purposeExample],
    [schemas.purposeSchema, examples.retiredExample],
    [schemas.purposesSchema, examples.purposesExample],
    [schemas.historySchema, examples.historyExample],
    [schemas.topicSchema, examples.topicExample],
    [schemas.topicSchema, examples.retiredTopicExample],
    [schemas.topicsSchema, examples.topicsExample],
    [schemas.publishedSchema, examples.publishedExample],
    [schemas.noticesSchema, examples.noticesExample],
    [schemas.noticeSchema, examples.noticeExample],
    [schemas.wordsSchema, examples.wordsExample],
    [schemas.controllerSchema, examples.controllerExample],
    [schemas.controllersSchema, examples.controllersExample],
    [schemas.sourceSchema, examples.sourceExample],
    [schemas.sourcesSchema, examples.sourcesExample],
    [schemas.defaultsSchema, examples.defaultsExample],
    [schemas.appliedSchema, examples.appliedExample],
  ])('is an answer of that schema (%#)', (schema, example) => {
    ajv.validate(schema as object, example);
    expect(ajv.errors ?? []).toEqual([]);
  });

  it.each([
    [PurposeBody, examples.purposeBody],
    [TopicBody, examples.topicBody],
    [NoticeBody, examples.noticeBody],
    [ControllerBody, examples.controllerBody],
    [DefaultsBody, examples.defaultsBody],
    [CatalogueBody, examples.catalogueBody],
  ])('is a body that is accepted (%#)', (shape, example) => {
    expect(() => readBody(shape as typeof PurposeBody, example)).not.toThrow();
  });
});
