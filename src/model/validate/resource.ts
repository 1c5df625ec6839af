// SPDX-License-Identifier: Apache-2.0
/**
 * Validation of one resource of any kind.
 *
 * Owns:       the decision whether a resource counts as valid, and may follow the one that is stored.
 * Takes in:   anything: parsed YAML or JSON, or what a store held.
 * Gives out:  every fault at once, each with its dotted path, what was found and what is wanted; or the resource with
 *             its defaults filled in, a copy that shares nothing with the input.
 * Invariants: never throws, whatever the value; never touches a prototype. Not a check against other resources (pool
 *             overlap, a tier's existence): those need a store.
 * Next:       ../schema/ holds the shapes as data, structural.ts makes checks of them, calico.ts and kubernetes.ts add
 *             what is no data; check.ts is the vocabulary, cel/ runs the rules, ../defaults.ts fills in.
 */
import type { Fault } from '../../lib/errors.ts';
import { defaultNamespace, withDefaults } from '../defaults.ts';
import { copyObject, isObject, member, shapeFault, textAt } from '../json.ts';
import { type KindRow, kinds, rowOfManifest } from '../kinds.ts';
import type { JsonObject, Resource, ResourceKind } from '../types.ts';
import { collect, nearest, shown } from './check.ts';
import { shapeOf, transitionOf } from './shape.ts';

export interface Validation {
  readonly faults: readonly Fault[];
  /** Null exactly when there are faults. */
  readonly resource: Resource | null;
}

export interface ValidateOptions {
  /** For namespaced resources that name none. @defaultValue `default` */
  readonly namespace?: string;
  /** The stored object that this one would replace, to refuse what may not change. */
  readonly old?: unknown;
}

export function validateResource(value: unknown, options: ValidateOptions = {}): Validation {
  const oversize = shapeFault(value);
  if (oversize) return failed([{ path: '', message: oversize }]);
  if (!isObject(value)) return failed([{ path: '', message: `got ${shown(value)}, want an object` }]);
  const row = rowOfManifest(textAt(value, 'apiVersion'), textAt(value, 'kind'));
  if (!row) return failed(kindFaults(value));
  const filled = withNamespace(copyObject(value), row, options.namespace ?? defaultNamespace);
  const faults = collect(shapeOf(row), filled);
  if (faults.length > 0) return failed(faults);
  const full = withDefaults(row.kind, filled);
  const changes = isObject(options.old) ? forbiddenChanges(row.kind, full, options.old) : [];
  return changes.length > 0 ? failed(changes) : { faults: [], resource: asResource(full) };
}

function forbiddenChanges(kind: ResourceKind, value: JsonObject, old: unknown): readonly Fault[] {
  const faults: Fault[] = [];
  transitionOf(kind)?.(value, old, '', (path, message) => faults.push({ path, message }));
  return faults;
}

/** The only place where JSON becomes a Resource: its shape was checked. */
function asResource(value: JsonObject): Resource {
  return value as unknown as Resource;
}

function failed(faults: readonly Fault[]): Validation {
  return { faults, resource: null };
}

function withNamespace(resource: JsonObject, row: KindRow, namespace: string): JsonObject {
  const metadata = resource.metadata;
  if (!row.namespaced || !isObject(metadata) || (metadata.namespace ?? '') !== '') return resource;
  return { ...resource, metadata: { ...(metadata as JsonObject), namespace } };
}

function kindFaults(value: { readonly [key: string]: unknown }): Fault[] {
  const faults: Fault[] = [];
  for (const field of ['apiVersion', 'kind']) {
    const written = member(value, field);
    if (typeof written === 'string' && written !== '') continue;
    faults.push({ path: field, message: `got ${shown(written)}, want a string: the field is required` });
  }
  if (faults.length > 0) return faults;
  return [kindFault(textAt(value, 'apiVersion'), textAt(value, 'kind'))];
}

function kindFault(apiVersion: string, kind: string): Fault {
  const versions = kinds.filter((row) => row.writtenKind === kind).map((row) => row.apiVersion);
  if (versions.length > 0) {
    return {
      path: 'apiVersion',
      message: `got ${shown(apiVersion)}, want ${versions.join(' or ')} with kind ${kind}`,
    };
  }
  const known = [...new Set(kinds.map((row) => row.writtenKind))];
  const near = nearest(kind, known);
  const wanted = near ? `did you mean ${near}?` : `want one of ${known.join(', ')}`;
  return { path: 'kind', message: `got ${shown(kind)} of ${shown(apiVersion)}, ${wanted}` };
}
