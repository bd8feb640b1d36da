import type { Opened } from '#core/kernel/event.js';
import type { Instant } from '#core/kernel/instant.js';
import { present } from '#core/kernel/pii.js';
import type {
  Collection,
  ContactKind,
  ExternalRef,
  RestrictionGround,
  SubjectEvent,
} from '../domain/subjects.events.js';

/** Who a person is, as far as the reader may see. Fields whose keys are gone are absent. */
export interface IdentityView {
  readonly registeredAt: Instant;
  readonly language?: string;
  readonly name?: string;
  readonly collection?: Collection & { readonly origin?: string };
  readonly contactPoints: readonly ContactPointView[];
  readonly externalRefs?: readonly ExternalRef[];
  readonly restriction?: RestrictionView;
}

export interface ContactPointView {
  readonly id: string;
  readonly kind: ContactKind;
  readonly value?: string;
  readonly verified: boolean;
  readonly since: Instant;
}

export interface RestrictionView {
  readonly grounds: readonly RestrictionGround[];
  /** Absent: all purposes. */
  readonly purposes?: readonly string[];
  readonly since: Instant;
}

/** Folds opened events into what a reader sees; `reveal` shows values, else they are masked. */
export function identityView(
  events: readonly Opened<SubjectEvent>[],
  reveal: boolean,
): IdentityView | undefined {
  const show = (kind: ContactKind | 'text', value: string | undefined) =>
    value === undefined || reveal ? value : masked(kind, value);
  let view: Omit<IdentityView, 'contactPoints'> | undefined;
  const contactPoints = new Map<string, ContactPointView>();
  for (const event of events) {
    if (event.type === 'SubjectRegistered') {
      const { collection, language, externalRefs } = event.data;
      view = {
        registeredAt: event.occurredAt,
        language,
        name: show('text', present(event.data.name)),
        collection: collection && {
          ...collection,
          origin: show('text', present(event.data.origin)),
        },
        externalRefs: present(externalRefs)?.map(({ system, id }) => ({
          system,
          id: reveal ? id : masked('text', id),
        })),
      };
    }
    if (view) view = changed(view, contactPoints, event, show);
  }
  return view && { ...view, contactPoints: [...contactPoints.values()] };
}

function changed(
  view: Omit<IdentityView, 'contactPoints'>,
  contactPoints: Map<string, ContactPointView>,
  event: Opened<SubjectEvent>,
  show: (kind: ContactKind | 'text', value: string | undefined) => string | undefined,
): Omit<IdentityView, 'contactPoints'> {
  switch (event.type) {
    case 'SubjectRegistered':
      return view;
    case 'ContactPointAdded': {
      const { contactPointId: id, kind, value } = event.data;
      const point = { id, kind, value: show(kind, present(value)), verified: false };
      contactPoints.set(id, { ...point, since: event.occurredAt });
      return view;
    }
    case 'ContactPointRemoved':
      contactPoints.delete(event.data.contactPointId);
      return view;
    case 'ContactPointVerified': {
      const { contactPointId: id } = event.data;
      const known = contactPoints.get(id);
      if (known) contactPoints.set(id, { ...known, verified: true });
      return view;
    }
    case 'SubjectRectified': {
      const { name, language } = event.data;
      return {
        ...view,
        name: name === undefined ? view.name : show('text', present(name)),
        language: language ?? view.language,
      };
    }
    case 'ProcessingRestricted': {
      const { ground, purposes } = event.data;
      const before = view.restriction;
      const all = !purposes || (before !== undefined && !before.purposes);
      return {
        ...view,
        restriction: {
          grounds: [...new Set([...(before?.grounds ?? []), ground])],
          purposes: all ? undefined : [...new Set([...(before?.purposes ?? []), ...purposes])],
          since: before?.since ?? event.occurredAt,
        },
      };
    }
    case 'RestrictionLifted':
      return { ...view, restriction: undefined };
  }
}

/** Enough to recognise what one knows, too little to learn it. */
export function masked(kind: ContactKind | 'text', value: string): string {
  switch (kind) {
    case 'email':
      return `***@${value.slice(value.lastIndexOf('@') + 1)}`;
    case 'phone':
      return `***${value.slice(-2)}`;
    case 'post':
    case 'text':
      return '***';
  }
}
