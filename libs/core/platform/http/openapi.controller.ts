import { Controller, Get, Inject } from '@nestjs/common';
import { Public } from './auth.guard.js';
import { Operation } from './operation.js';

/** Holds the way to the document; made when it is first asked for, because it costs some 100 ms. */
export class OpenApiDocument {
  private document: Promise<object> | undefined;
  /** Set once the application stands. */
  build: () => Promise<object> = () => Promise.reject(new Error('the application is not ready'));

  get(): Promise<object> {
    return (this.document ??= this.build());
  }
}

@Public()
@Controller('v1')
export class OpenApiController {
  constructor(@Inject(OpenApiDocument) private readonly document: OpenApiDocument) {}

  @Get('openapi.json')
  @Operation({
    summary: 'This document',
    tag: 'service',
    answers: { 200: { description: 'OpenAPI 3.1.', body: { type: 'object' } } },
  })
  get(): Promise<object> {
    return this.document.get();
  }
}
