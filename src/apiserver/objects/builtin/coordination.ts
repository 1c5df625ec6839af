// SPDX-License-Identifier: Apache-2.0
/** Lease, and Event of the core group. */
import type { JsonObject } from '../../../model/types.ts';
import type { Cause } from '../api-error.ts';
import { invalid } from '../causes.ts';
import { mapAt, memberOf, textAt, withMember } from '../json.ts';
import type { ApiObject } from '../object.ts';
import type { ServedResource } from '../served-resource.ts';
import { ageOf } from '../table.ts';
import { typedObject } from '../typed.ts';
import { textColumn } from './core.ts';
import { integer, kept, microTime, object, objectReference, text, time, written } from './fields.ts';
import { builtinKind } from './kind.ts';

export const leases: ServedResource = builtinKind({
  group: 'coordination.k8s.io',
  kind: 'Lease',
  namespaced: true,
  unconditionalUpdate: false,
  createOnUpdate: true,
  fields: {
    spec: written(
      object({
        holderIdentity: kept(text),
        leaseDurationSeconds: kept(integer),
        acquireTime: microTime,
        renewTime: microTime,
        leaseTransitions: kept(integer),
        strategy: kept(text),
        preferredHolder: kept(text),
      }),
    ),
  },
  columns: [
    textColumn('Holder', 'The holder of the lease.', (each) => textAt(each, 'spec', 'holderIdentity')),
  ],
  validate: (each) => [
    ...atLeast(each, 'leaseDurationSeconds', 1, 'must be greater than 0'),
    ...atLeast(each, 'leaseTransitions', 0, 'must be greater than or equal to 0'),
  ],
});

function atLeast(each: ApiObject, name: string, least: number, fault: string): readonly Cause[] {
  const value = memberOf(mapAt(each, 'spec'), name);
  if (typeof value !== 'number' || value >= least) return [];
  return [invalid(`spec.${name}`, value, fault)];
}

// ---- Event -----------------------------------------------------------------------------------------------------------

const series = object({ count: integer, lastObservedTime: microTime });
const source = object({ component: text, host: text });

function eventColumns(
  note: string,
  regarding: string,
  last: string,
): Parameters<typeof builtinKind>[0]['columns'] {
  return [
    textColumn('Last Seen', 'When it was last seen.', (each, now) =>
      ageOf(textAt(each, last) || textAt(each, 'eventTime'), now),
    ),
    textColumn('Type', 'Normal or Warning.', (each) => textAt(each, 'type')),
    textColumn('Reason', 'Why, as a word.', (each) => textAt(each, 'reason')),
    textColumn(
      'Object',
      'What it is about.',
      (each) => `${textAt(each, regarding, 'kind').toLowerCase()}/${textAt(each, regarding, 'name')}`,
    ),
    textColumn('Message', 'What happened.', (each) => textAt(each, note).trim()),
  ];
}

const regarding = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'];

export const events: ServedResource = builtinKind({
  group: '',
  kind: 'Event',
  shortNames: ['ev'],
  namespaced: true,
  createOnUpdate: true,
  fields: {
    involvedObject: written(objectReference),
    reason: text,
    message: text,
    source: written(source),
    firstTimestamp: written(time),
    lastTimestamp: written(time),
    count: integer,
    type: text,
    eventTime: written(microTime),
    series,
    action: text,
    related: objectReference,
    reportingComponent: written(text),
    reportingInstance: written(text),
  },
  columns: eventColumns('message', 'involvedObject', 'lastTimestamp') ?? [],
  validate: (each) => {
    const namespace = textAt(each, 'involvedObject', 'namespace');
    const own = textAt(each, 'metadata', 'namespace');
    if (namespace === own || (namespace === '' && own === 'default')) return [];
    return [invalid('involvedObject.namespace', namespace, 'does not match event.namespace')];
  },
  selectable: (each) => ({
    ...Object.fromEntries(
      regarding.map((name) => [`involvedObject.${name}`, textAt(each, 'involvedObject', name)]),
    ),
    reason: textAt(each, 'reason'),
    reportingComponent: textAt(each, 'reportingComponent'),
    source: textAt(each, 'source', 'component') || textAt(each, 'reportingComponent'),
    type: textAt(each, 'type'),
  }),
  selectableNames: [
    ...regarding.map((name) => `involvedObject.${name}`),
    'reason',
    'reportingComponent',
    'source',
    'type',
  ],
});

export const groupEvents: ServedResource = builtinKind({
  group: 'events.k8s.io',
  kind: 'Event',
  shortNames: ['ev'],
  namespaced: true,
  createOnUpdate: true,
  fields: {
    eventTime: written(microTime),
    series,
    reportingController: text,
    reportingInstance: text,
    action: text,
    reason: text,
    regarding: objectReference,
    related: objectReference,
    note: text,
    type: text,
    deprecatedSource: source,
    deprecatedFirstTimestamp: written(time),
    deprecatedLastTimestamp: written(time),
    deprecatedCount: integer,
  },
  columns: eventColumns('note', 'regarding', 'deprecatedLastTimestamp') ?? [],
});

/** Names in core/v1 and in events.k8s.io/v1 of what both groups store as one object. */
const eventNames: readonly (readonly [string, string])[] = [
  ['involvedObject', 'regarding'],
  ['message', 'note'],
  ['source', 'deprecatedSource'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['count', 'deprecatedCount'],
  ['reportingComponent', 'reportingController'],
];

/** An Event of either group as the other's. */
export function eventAs(group: '' | 'events.k8s.io', event: ApiObject): ApiObject {
  const apiVersion = group === '' ? 'v1' : 'events.k8s.io/v1';
  if (event.apiVersion === apiVersion) return event;
  const pairs = group === '' ? eventNames.map(([core, grouped]) => [grouped, core] as const) : eventNames;
  const renamed = pairs.reduce<JsonObject>((each, [from, to]) => moved(each, from, to), {
    ...event,
    apiVersion,
  });
  const { schema } = group === '' ? events : groupEvents;
  return typedObject(schema, renamed, '', () => {}) as ApiObject;
}

function moved(event: JsonObject, from: string, to: string): JsonObject {
  const value = memberOf(event, from);
  return withMember(withMember(event, from, undefined), to, value);
}
