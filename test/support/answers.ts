/** What the ledger answers, as far as journeys look at it. */

export interface Receipt {
  readonly receiptId: string;
  readonly subjectId: string;
  readonly revision: number;
  readonly position: string;
  readonly recordedAt: string;
  readonly events: readonly {
    readonly id: string;
    readonly type: string;
    readonly revision: number;
    readonly position?: string;
  }[];
  readonly visible: boolean;
  readonly sealed: boolean;
}

export interface Decision {
  readonly allowed: boolean;
  readonly code: string;
  readonly reasons: readonly string[];
  readonly basis?: string;
  readonly since?: string;
  readonly event?: { readonly id: string; readonly position: string };
  readonly asOf: string;
  readonly knownAt: string;
  readonly position: string;
}

export interface PersonPage {
  readonly subjectId: string;
  readonly asOf: string;
  readonly knownAt: string;
  readonly position: string;
  readonly revision: number;
  readonly erasedAt?: string;
  readonly identity?: {
    readonly name?: unknown;
    readonly contactPoints: readonly {
      readonly id: string;
      readonly kind: string;
      readonly value?: unknown;
    }[];
    readonly externalRefs?: unknown;
    readonly restriction?: unknown;
  };
  readonly purposes: readonly (Decision & {
    readonly purpose: string;
    readonly bases: readonly object[];
  })[];
  readonly topics: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly objectsToMarketing: boolean;
}

export interface TimelinePage {
  readonly items: readonly {
    readonly id: string;
    readonly type: string;
    readonly position: string;
    readonly occurredAt: string;
    readonly recordedAt: string;
    readonly text: string;
    readonly data: Readonly<Record<string, unknown>>;
  }[];
  readonly page: { readonly next?: string };
  readonly position: string;
}

export interface Operation {
  readonly operationId: string;
  readonly kind: string;
  readonly status: 'running' | 'waiting' | 'succeeded' | 'failed';
  readonly subjectId: string;
  readonly progress?: { readonly step: string };
  readonly result?: { readonly certificate: Readonly<Record<string, unknown>> };
}

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly traceId: string;
  readonly errors?: readonly {
    readonly pointer?: string;
    readonly parameter?: string;
    readonly code: string;
    readonly detail: string;
  }[];
  readonly subjectId?: string;
}

export interface Found {
  readonly subjects: readonly { readonly subjectId: string }[];
}
