// SPDX-License-Identifier: Apache-2.0
/**
 * Writes as one transaction of etcd: what must hold before (compares), what is done, and what is read when it does not hold, so
 * that the refusal can be named.
 */
import { create } from '@bufbuild/protobuf';
import type { Stored, Write } from '../../contract/datastore.ts';
import type { Revision } from '../../lib/brand.ts';
import {
  AlreadyExistsError,
  type AppError,
  ConflictError,
  InvalidError,
  NotFoundError,
  UnsupportedError,
} from '../../lib/errors.ts';
import type { Resource } from '../../model/types.ts';
import { keyText } from '../key.ts';
import {
  type Compare,
  CompareSchema,
  type KeyValue,
  type RequestOp,
  RequestOpSchema,
  type ResponseOp,
  type TxnRequest,
  TxnRequestSchema,
} from './api/etcd_pb.ts';
import { pathOf, pathsOf } from './layout.ts';
import { decodeValue, encodeValue } from './values.ts';

/** etcdserverpb.Compare: CompareResult and CompareTarget. */
const [equal, greater] = [0, 1];
const [createTarget, modTarget] = [1, 2];

/** One key's part of a transaction. */
export interface Step {
  readonly write: Write;
  readonly path: string;
  /** Absent for what is deleted. */
  readonly value?: Uint8Array;
}

/** Where the writes' objects may stand, to be read before. */
export function pathsOfWrite(write: Write): readonly string[] {
  return write.op === 'delete' ? pathsOf(write.key) : [pathOf(write.key, write.resource)];
}

/** A path, and what stands there. */
export type Found = ReadonlyMap<string, KeyValue>;

/**
 * @param found - what is stored now, of those that are updated or may stand in several places.
 * @throws {NotFoundError} {ConflictError} {InvalidError}
 */
export function stepOf(write: Write, found: Found, born: (resource: Resource) => Resource): Step {
  if (write.op === 'create') {
    const path = pathOf(write.key, write.resource);
    return { write, path, value: encodeValue(write.key, born(write.resource), path) };
  }
  const paths = pathsOfWrite(write);
  const path = paths.find((each) => found.has(each)) ?? paths[0] ?? '';
  if (write.op === 'delete') return { write, path };
  const before = found.get(path);
  const refusal = refusalOf(write, before);
  if (refusal || !before) throw refusal ?? new NotFoundError(`${keyText(write.key)} not found`);
  const resource = keepIdentity(
    write.resource,
    decodeValue(write.key, path, before.value, before.modRevision),
  );
  return { write, path, value: encodeValue(write.key, resource, path) };
}

/** @throws {UnsupportedError} when two are about one object: etcd does not take that. */
export function transactionOf(steps: readonly Step[]): TxnRequest {
  const seen = new Set<string>();
  for (const { write, path } of steps) {
    if (seen.has(path))
      throw new UnsupportedError(
        `cannot write ${keyText(write.key)} twice in one transaction: want one write of each object`,
      );
    seen.add(path);
  }
  return create(TxnRequestSchema, {
    compare: steps.map(compareOf),
    success: steps.map(operationOf),
    failure: steps.map(({ path }) => readOf(path)),
  });
}

export function readOf(path: string): RequestOp {
  return create(RequestOpSchema, { request: { case: 'requestRange', value: { key: Buffer.from(path) } } });
}

/** What the reads of a transaction found, by path. */
export function foundIn(responses: readonly ResponseOp[]): Found {
  const kvs = responses.flatMap(({ response }) =>
    response.case === 'responseRange' ? response.value.kvs : [],
  );
  return new Map(kvs.map((kv) => [Buffer.from(kv.key).toString(), kv]));
}

export function storedBy(steps: readonly Step[], revision: bigint): readonly Stored[] {
  return steps.flatMap(({ write, path, value }) =>
    value === undefined ? [] : [decodeValue(write.key, path, value, revision)],
  );
}

/** Why a transaction was not done: the first of its writes that what is stored refuses. */
export function refusalOfAll(steps: readonly Step[], found: Found): AppError {
  for (const { write, path } of steps) {
    const refusal = refusalOf(write, found.get(path));
    if (refusal) return refusal;
  }
  return new ConflictError(
    'cannot write: an object was changed and changed back meanwhile: want another try',
  );
}

export function toRevision(revision: Revision): bigint {
  if (/^[0-9]{1,18}$/.test(revision)) return BigInt(revision);
  throw new InvalidError(`revision ${JSON.stringify(revision)}: want one that this datastore gave`);
}

/** null: it may be done. */
function refusalOf(write: Write, found: KeyValue | undefined): AppError | null {
  if (write.op === 'create')
    return found ? new AlreadyExistsError(`${keyText(write.key)} already exists`) : null;
  if (!found) return new NotFoundError(`${keyText(write.key)} not found`);
  if (write.ifRevision === undefined || toRevision(write.ifRevision) === found.modRevision) return null;
  return new ConflictError(
    `cannot ${write.op} ${keyText(write.key)}: got revision ${write.ifRevision}, want ${found.modRevision}`,
  );
}

function compareOf({ write, path }: Step): Compare {
  const key = Buffer.from(path);
  const ifRevision = write.op === 'create' ? undefined : write.ifRevision;
  if (ifRevision !== undefined) {
    const modRevision = toRevision(ifRevision);
    const targetUnion = { case: 'modRevision', value: modRevision } as const;
    return create(CompareSchema, { result: equal, target: modTarget, key, targetUnion });
  }
  const result = write.op === 'create' ? equal : greater;
  const targetUnion = { case: 'createRevision', value: 0n } as const;
  return create(CompareSchema, { result, target: createTarget, key, targetUnion });
}

function operationOf({ path, value }: Step): RequestOp {
  const key = Buffer.from(path);
  const request =
    value === undefined
      ? ({ case: 'requestDeleteRange', value: { key } } as const)
      : ({ case: 'requestPut', value: { key, value } } as const);
  return create(RequestOpSchema, { request });
}

/** uid and creationTimestamp are the store's: an update cannot change them. */
function keepIdentity(resource: Resource, before: Stored): Resource {
  const { uid, creationTimestamp } = before.resource.metadata;
  const identity = { ...(uid ? { uid } : {}), ...(creationTimestamp ? { creationTimestamp } : {}) };
  return { ...resource, metadata: { ...resource.metadata, ...identity } };
}
