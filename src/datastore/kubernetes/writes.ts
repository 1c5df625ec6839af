// SPDX-License-Identifier: Apache-2.0
/**
 * Writes to a Kubernetes API: what is one write to us may be several requests there, as it keeps a status, and the node of
 * a pod, apart from the rest.
 *
 * Invariants: the first of them is the compare-and-swap; those after it go on from its answer. A dry run writes nothing.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Stored, Write } from '../../contract/datastore.ts';
import type { Revision } from '../../lib/brand.ts';
import { assertNever, ConflictError, InvalidError, UnavailableError } from '../../lib/errors.ts';
import { textAt } from '../../model/json.ts';
import { kindRow } from '../../model/kinds.ts';
import type { Resource, ResourceKey } from '../../model/types.ts';
import { keyText } from '../key.ts';
import type { ApiRequest, Connection } from './connection.ts';
import { newObject, replacement, storedOf } from './object.ts';
import { refusalOf } from './refusal.ts';
import { collectionPath, objectPath, type ServedKind } from './served-kinds.ts';

/** etcd's limit on a request, which Kubernetes has too: 1.5 MiB (etcd documentation, "System limits"). */
const largestObject = 1.5 * 1024 * 1024;

export interface WriteOptions {
  readonly dryRun?: boolean;
}

export interface ApplyOptions extends WriteOptions {
  readonly manager: string;
  /** Takes fields from other managers; else they are a conflict. */
  readonly force: boolean;
  readonly ifRevision?: Revision;
}

export class Writes {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async read(served: ServedKind, key: ResourceKey): Promise<Stored> {
    return this.#object(served, `cannot get ${keyText(key)}`, {
      method: 'GET',
      path: objectPath(served, key),
    });
  }

  async write(served: ServedKind, write: Write, options: WriteOptions = {}): Promise<Stored | null> {
    switch (write.op) {
      case 'create':
        if (write.isPartial) return this.#applyPart(served, write.key, write.resource, options);
        return this.#create(served, write.key, write.resource, options);
      case 'update':
        if (write.isPartial)
          return this.#applyPart(served, write.key, write.resource, options, write.ifRevision);
        return this.#update(served, write.key, write.resource, write.ifRevision, options);
      case 'delete':
        return this.#delete(served, write.key, write.ifRevision, options);
      default:
        return assertNever(write);
    }
  }

  /** Fields that `manager` had applied before and does not any more, go. @see Kubernetes documentation, "Server-Side Apply" */
  async apply(served: ServedKind, key: ResourceKey, resource: Resource, how: ApplyOptions): Promise<Stored> {
    const { status: _, ...object } = newObject(written(served, resource));
    const { ifRevision: resourceVersion } = how;
    const metadata = { ...object.metadata, ...(resourceVersion === undefined ? {} : { resourceVersion }) };
    const query = new URLSearchParams({
      fieldManager: how.manager,
      force: String(how.force),
      ...(how.dryRun ? { dryRun: 'All' } : {}),
    });
    return this.#object(served, `cannot apply ${keyText(key)}`, {
      method: 'PATCH',
      path: `${objectPath(served, key)}?${query}`,
      body: bodyOf(key, { ...object, metadata }),
      contentType: 'application/apply-patch+yaml',
    });
  }

  async #applyPart(
    served: ServedKind,
    key: ResourceKey,
    resource: Resource,
    options: WriteOptions,
    ifRevision?: Revision,
  ): Promise<Stored> {
    const stored = await this.apply(served, key, resource, {
      manager: 'muslin',
      force: true,
      ...options,
      ...(ifRevision === undefined ? {} : { ifRevision }),
    });
    return options.dryRun ? stored : this.#followUp(served, stored, resource);
  }

  async #create(
    served: ServedKind,
    key: ResourceKey,
    resource: Resource,
    options: WriteOptions,
  ): Promise<Stored> {
    const object = newObject(written(served, resource));
    const created = await this.#object(served, `cannot create ${keyText(key)}`, {
      method: 'POST',
      path: withDryRun(collectionPath(served, key.namespace), options),
      body: bodyOf(key, object),
    });
    return options.dryRun ? created : this.#followUp(served, created, resource);
  }

  async #update(
    served: ServedKind,
    key: ResourceKey,
    resource: Resource,
    ifRevision: Revision,
    options: WriteOptions,
  ): Promise<Stored> {
    const current = await this.read(served, key);
    if (current.revision !== ifRevision)
      throw new ConflictError(
        `cannot update ${keyText(key)}: got revision ${ifRevision}, want ${current.revision}`,
      );
    const bound = options.dryRun ? current : await this.#bind(served, current, resource);
    const next = replacement(written(served, resource), bound.resource, bound.revision);
    if (!options.dryRun && bound !== current && mainEquals(next, bound.resource))
      return this.#followUp(served, bound, resource);
    const updated = await this.#object(served, `cannot update ${keyText(key)}`, {
      method: 'PUT',
      path: withDryRun(objectPath(served, key), options),
      body: bodyOf(key, next),
    });
    return options.dryRun ? updated : this.#followUp(served, updated, resource);
  }

  /** A pod that runs has a kubelet to end it; ours are ended by whoever watches, so nobody is waited for. */
  async #delete(
    served: ServedKind,
    key: ResourceKey,
    ifRevision: Revision | undefined,
    options: WriteOptions,
  ): Promise<null> {
    const body = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      propagationPolicy: 'Background',
      ...(served.kind === 'Pod' ? { gracePeriodSeconds: 0 } : {}),
      ...(ifRevision === undefined ? {} : { preconditions: { resourceVersion: ifRevision } }),
      ...(options.dryRun ? { dryRun: ['All'] } : {}), // beside a body the server reads no options in the query
    };
    const path = objectPath(served, key);
    await this.#text(`cannot delete ${keyText(key)}`, { method: 'DELETE', path, body: JSON.stringify(body) });
    return null;
  }

  /** A pod comes to its node by a binding. @see Kubernetes API, `Binding` */
  async #bind(served: ServedKind, current: Stored, wanted: Resource): Promise<Stored> {
    const node = textAt(wanted, 'spec', 'nodeName');
    if (served.kind !== 'Pod' || node === '' || textAt(current.resource, 'spec', 'nodeName') !== '')
      return current;
    const { name, namespace, uid } = current.resource.metadata;
    const body = {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { name, namespace, ...(uid === undefined ? {} : { uid }) },
      target: { apiVersion: 'v1', kind: 'Node', name: node },
    };
    const path = `${objectPath(served, current.key)}/binding`;
    await this.#text(`cannot bind ${keyText(current.key)}`, {
      method: 'POST',
      path,
      body: JSON.stringify(body),
    });
    return this.read(served, current.key);
  }

  /** The status is written apart, where it is kept apart. */
  async #followUp(served: ServedKind, stored: Stored, wanted: Resource): Promise<Stored> {
    const { status } = wanted;
    if (!served.hasStatus || status === undefined || isDeepStrictEqual(status, stored.resource.status))
      return stored;
    const object = { ...replacement(stored.resource, stored.resource, stored.revision), status };
    return this.#object(served, `cannot update the status of ${keyText(stored.key)}`, {
      method: 'PUT',
      path: `${objectPath(served, stored.key)}/status`,
      body: bodyOf(stored.key, object),
    });
  }

  async #object(served: ServedKind, what: string, request: ApiRequest): Promise<Stored> {
    const stored = storedOf(served, parsed(what, await this.#text(what, request)));
    if (!stored) throw new UnavailableError(`${what}: got an answer without a name, want the object`);
    return stored;
  }

  async #text(what: string, request: ApiRequest): Promise<string> {
    const answer = await this.#connection.send(request);
    if (answer.status >= 200 && answer.status < 300) return answer.text;
    throw refusalOf(what, answer);
  }
}

function withDryRun(path: string, { dryRun }: WriteOptions): string {
  return dryRun ? `${path}?dryRun=All` : path;
}

/** In the server's own version and kind. */
function written(served: ServedKind, resource: Resource): Resource {
  return { ...resource, apiVersion: served.groupVersion, kind: kindRow(served.kind).writtenKind };
}

function mainEquals(next: Resource, current: Resource): boolean {
  const main = ({ spec, metadata }: Resource) => ({
    spec,
    labels: metadata.labels ?? {},
    annotations: metadata.annotations ?? {},
  });
  return isDeepStrictEqual(main(next), main(current));
}

/** @throws {InvalidError} with the size, found and wanted. */
function bodyOf(key: ResourceKey, object: Resource): string {
  const body = JSON.stringify(object);
  const size = Buffer.byteLength(body);
  if (size > largestObject)
    throw new InvalidError(`cannot store ${keyText(key)}: got ${size} bytes, want at most ${largestObject}`);
  return body;
}

function parsed(what: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new UnavailableError(`${what}: got an answer that is no JSON`);
  }
}
