// SPDX-License-Identifier: Apache-2.0
/**
 * What an apply, create or replace has to write, given what is stored. Pure, so that a lost race is planned again.
 *
 * Invariants: an object that would not change is not written; what the store or the lab keeps (identity, status, a Pod's
 *             node, a Service's addresses and ports) survives a manifest that does not speak of it.
 */
import { sameValue } from '../calc/same-value.ts';
import type { Stored, Write } from '../contract/datastore.ts';
import { AlreadyExistsError, ConflictError, type Fault, InvalidError, NotFoundError } from '../lib/errors.ts';
import { builtinTiers } from '../model/builtin.ts';
import { memberAt, textAt } from '../model/json.ts';
import { calicoVersion, keyOf, keyPath, kindRow } from '../model/kinds.ts';
import { convertedPolicyPrefix } from '../model/kubernetes/network-policy.ts';
import { readOrigin } from '../model/origin.ts';
import { originAnnotation, type Resource, type ResourceKey } from '../model/types.ts';
import { validateResource } from '../model/validate/resource.ts';
import { stdinName } from './io.ts';
import { withKeptNumbers } from './kept-numbers.ts';
import { objectName } from './object-name.ts';
import { refuseOverlaps } from './pool-overlap.ts';
import { noticesOf } from './write-notices.ts';

export type WriteVerb = 'apply' | 'create' | 'replace';

export interface PlanRow {
  readonly key: ResourceKey;
  /** As it will be stored, or as it is when nothing changes. */
  readonly resource: Resource;
  /** As it is stored; null for what is new. */
  readonly before: Resource | null;
  readonly outcome: 'created' | 'configured' | 'replaced' | 'unchanged';
  /** In brackets after the outcome. */
  readonly remark?: string;
}

export interface WritePlan {
  readonly writes: readonly Write[];
  readonly rows: readonly PlanRow[];
  /** For people, not errors. */
  readonly notices: readonly string[];
}

export interface Planning {
  /** Of create: what exists is left as it is. */
  readonly skipExisting?: boolean;
}

/**
 * @param resources - valid.
 * @throws {InvalidError} for what nobody may write. {AlreadyExistsError} {NotFoundError} as the verb wants. {ConflictError}
 * for a manifest of a version that is no longer the stored one.
 */
export function planWrites(
  verb: WriteVerb,
  resources: readonly Resource[],
  stored: readonly Stored[],
  planning: Planning = {},
): WritePlan {
  refuseReserved(resources);
  if (verb === 'create') refuseVersions(resources);
  const byPath = new Map<string, Stored>(stored.map((item) => [keyPath(item.key), item]));
  const { wanted, notices } = withNamespaces(verb, lastOfEach(resources), byPath);
  const planned = inOrder(wanted).map((item) =>
    planOne(verb, item, byPath.get(keyPath(keyOf(item.resource))), planning),
  );
  const writes = planned.flatMap(({ write }) => (write ? [write] : []));
  refuseChanges(writes, byPath);
  refuseOverlaps(writes, byPath);
  return {
    rows: planned.map(({ row }) => row),
    writes,
    notices: [
      ...notices,
      ...noticesOf(
        wanted.map(({ resource }) => resource),
        byPath,
      ),
    ],
  };
}

interface Wanted {
  readonly resource: Resource;
  readonly remark?: string;
}

function planOne(
  verb: WriteVerb,
  { resource: written, remark }: Wanted,
  before: Stored | undefined,
  { skipExisting = false }: Planning,
): { row: PlanRow; write: Write | null } {
  const key = keyOf(written);
  const left = (resource: Resource, why = remark) => {
    const row = { key, resource, before: resource, outcome: 'unchanged' } as const;
    return { row: why === undefined ? row : { ...row, remark: why }, write: null };
  };
  if (isBuiltinTier(key)) {
    if (verb === 'create' && !skipExisting)
      throw new AlreadyExistsError(`${objectName(written)} already exists: it is built in`);
    return left(written, 'built in');
  }
  const said = remark === undefined ? {} : { remark };
  if (!before) {
    if (verb === 'replace') throw new NotFoundError(`${objectName(written)} not found`);
    const resource = fresh(written);
    const write: Write = { op: 'create', key, resource, ...partly(verb, key) };
    return { row: { key, resource, before: null, outcome: 'created', ...said }, write };
  }
  if (verb === 'create' && remark === undefined) {
    if (skipExisting) return left(before.resource, 'exists already');
    throw new AlreadyExistsError(`${objectName(written)} already exists`);
  }
  const resource = withKept(fresh(written), before.resource);
  if (sameValue(comparable(resource), comparable(before.resource))) return left(before.resource);
  refuseStale(written, before);
  const outcome = verb === 'replace' ? 'replaced' : 'configured';
  const write: Write = { op: 'update', key, resource, ifRevision: before.revision, ...partly(verb, key) };
  return { row: { key, resource, before: before.resource, outcome, ...said }, write };
}

/** Of Kubernetes' own kinds a manifest never says all: its server, its controllers and others write into them too. */
function partly(verb: WriteVerb, { kind }: ResourceKey): { readonly isPartial?: true } {
  return verb === 'apply' && kindRow(kind).apiVersion !== calicoVersion ? { isPartial: true } : {};
}

/** Calico's client refuses it too: what is new has no version yet. */
function refuseVersions(resources: readonly Resource[]): void {
  const faults = resources.flatMap((resource) => {
    const { resourceVersion = '' } = resource.metadata;
    if (resourceVersion === '') return [];
    const origin = readOrigin(resource);
    const place = origin ? { file: origin.file, line: origin.line } : {};
    const message = `got "${resourceVersion}", want nothing: what is created has no version yet`;
    return [{ path: 'metadata.resourceVersion', message, ...place }];
  });
  if (faults.length > 0) throw new InvalidError(`${faults.length} objects with a version`, faults);
}

/** A manifest that says which version it was made from, as `get -o yaml` prints it, changes no other. */
function refuseStale(written: Resource, { revision }: Stored): void {
  const { resourceVersion = '' } = written.metadata;
  if (resourceVersion === '' || resourceVersion === revision) return;
  const name = objectName(written);
  throw new ConflictError(
    `cannot change ${name}: got resourceVersion "${resourceVersion}", want "${revision}": it was changed since; get it again, or leave the version out`,
  );
}

/** What the store gives is not the manifest's to say; what the API server adds to a Namespace is added here. */
function fresh(resource: Resource): Resource {
  const { uid: _, creationTimestamp: __, resourceVersion: ___, ...metadata } = resource.metadata;
  if (keyOf(resource).kind !== 'Namespace') return { ...resource, metadata };
  const labels = { ...metadata.labels, 'kubernetes.io/metadata.name': metadata.name };
  return { ...resource, metadata: { ...metadata, labels } };
}

/** @param written - from a stream, for instance one that `get -o yaml` filled: the place it was read at before counts. */
export function withKept(written: Resource, before: Resource): Resource {
  const status = written.status === undefined && before.status !== undefined ? { status: before.status } : {};
  const node = textAt(before, 'spec', 'nodeName');
  const keepsNode =
    written.kind === 'Pod' && node !== '' && memberAt(written, 'spec', 'nodeName') === undefined;
  const spec = keepsNode ? { spec: { ...(memberAt(written, 'spec') as object), nodeName: node } } : {};
  const numbered = written.kind === 'Service' ? withKeptNumbers(written, before) : written;
  const kept: Resource = { ...numbered, ...spec, ...status };
  if (readOrigin(written)?.file !== stdinName) return kept;
  const asBefore = withOrigin(kept, before.metadata.annotations?.[originAnnotation]);
  return sameValue(comparable(asBefore), comparable(before)) ? asBefore : kept;
}

function withOrigin(resource: Resource, origin: string | undefined): Resource {
  const { annotations: { [originAnnotation]: _, ...others } = {}, ...metadata } = resource.metadata;
  const annotations = origin === undefined ? others : { ...others, [originAnnotation]: origin };
  const isEmpty = Object.keys(annotations).length === 0;
  return { ...resource, metadata: isEmpty ? metadata : { ...metadata, annotations } };
}

function comparable(resource: Resource): Resource {
  const { uid: _, creationTimestamp: __, resourceVersion: ___, ...metadata } = resource.metadata;
  return { ...resource, metadata };
}

function lastOfEach(resources: readonly Resource[]): {
  resources: readonly Resource[];
  notices: readonly string[];
} {
  const byPath = new Map<string, Resource>();
  const notices: string[] = [];
  for (const resource of resources) {
    const path = keyPath(keyOf(resource));
    if (byPath.has(path)) notices.push(`${objectName(resource)} is written twice; the last one counts`);
    byPath.set(path, resource);
  }
  return { resources: [...byPath.values()], notices };
}

/** Nothing waits for a Namespace that no manifest has: it is made too. What is replaced has got its place already. */
function withNamespaces(
  verb: WriteVerb,
  { resources, notices }: { resources: readonly Resource[]; notices: readonly string[] },
  stored: ReadonlyMap<string, Stored>,
): { wanted: readonly Wanted[]; notices: readonly string[] } {
  const known = new Set(
    resources.flatMap((resource) => (keyOf(resource).kind === 'Namespace' ? [resource.metadata.name] : [])),
  );
  const made: Wanted[] = [];
  for (const resource of resources) {
    const { namespace: name } = keyOf(resource);
    if (name === undefined || known.has(name)) continue;
    known.add(name);
    if (verb === 'replace' || stored.has(keyPath({ kind: 'Namespace', name }))) continue;
    const namespace: Resource = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
    made.push({ resource: namespace, remark: 'no manifest had it' });
  }
  return { wanted: [...made, ...resources.map((resource) => ({ resource }))], notices };
}

const firstKinds = ['Namespace', 'ServiceAccount', 'Tier'];

/** What others refer to comes first; otherwise the order of the manifests stays. */
function inOrder(wanted: readonly Wanted[]): readonly Wanted[] {
  const rank = ({ resource }: Wanted) => {
    const at = firstKinds.indexOf(keyOf(resource).kind);
    return at < 0 ? firstKinds.length : at;
  };
  return [...wanted].sort((a, b) => rank(a) - rank(b));
}

/** @throws {InvalidError} with every field that may not change and would: a pool's CIDR, for instance. */
function refuseChanges(writes: readonly Write[], stored: ReadonlyMap<string, Stored>): void {
  const faults = writes.flatMap((write) => {
    const old = stored.get(keyPath(write.key))?.resource;
    if (write.op !== 'update' || !old) return [];
    const origin = readOrigin(write.resource);
    const place = origin ? { file: origin.file, line: origin.line } : {};
    return validateResource(write.resource, { old }).faults.map((fault) => ({
      ...fault,
      ...place,
      message: `${objectName(write.resource)}: ${fault.message}`,
    }));
  });
  if (faults.length > 0) throw new InvalidError(`${faults.length} changes that are not allowed`, faults);
}

/** @throws {InvalidError} with every object that is made from others, or that is built in and would be changed. */
export function refuseReserved(resources: readonly Resource[]): void {
  const faults = resources.flatMap((resource) => {
    const fault = reservedFault(resource);
    const origin = readOrigin(resource);
    return fault ? [{ ...fault, ...(origin ? { file: origin.file, line: origin.line } : {}) }] : [];
  });
  if (faults.length > 0) throw new InvalidError(`${faults.length} reserved names`, faults);
}

function reservedFault(resource: Resource): Fault | null {
  const key = keyOf(resource);
  if (isConverted(key)) {
    const message = `got "${key.name}", want another name: ${convertedPolicyPrefix}* stands for Kubernetes' own policies`;
    return { path: 'metadata.name', message };
  }
  const { labels = {}, annotations = {} } = resource.metadata;
  const added = [...Object.keys(labels), ...Object.keys(annotations)].filter(
    (name) => name !== originAnnotation,
  );
  if (!isBuiltinTier(key) || added.length === 0) return null;
  return {
    path: 'metadata',
    message: `got ${added.join(', ')}, want neither labels nor annotations: the tier is built in`,
  };
}

export function isConverted(key: ResourceKey): boolean {
  return key.kind === 'NetworkPolicy' && key.name.startsWith(convertedPolicyPrefix);
}

export function isBuiltinTier(key: ResourceKey): boolean {
  return key.kind === 'Tier' && builtinTiers.has(key.name);
}
