// SPDX-License-Identifier: Apache-2.0
/** Resources as etcd's values, JSON, and back. The revision is etcd's own and stands in no value. */
import { isUtf8 } from 'node:buffer';
import type { Stored } from '../../contract/datastore.ts';
import type { Revision } from '../../lib/brand.ts';
import { InvalidError } from '../../lib/errors.ts';
import { isObject, shapeFault } from '../../model/json.ts';
import type { Resource, ResourceKey } from '../../model/types.ts';
import { keyText } from '../key.ts';
import { isIpamKind } from './ipam-layout.ts';
import { ipamResourceOf, ipamValueOf } from './ipam-values.ts';

/** etcd's own default (--max-request-bytes) is as much for a whole request. */
const largestBytes = 1_500_000;

/** @throws {InvalidError} when it is too large, or says something else than its place. */
export function encodeValue(key: ResourceKey, resource: Resource, path: string): Uint8Array {
  const plain = withoutVersion(resource);
  const text = JSON.stringify(isIpamKind(key.kind) ? ipamValueOf(key, plain, path) : plain);
  const bytes = Buffer.from(text);
  if (bytes.length > largestBytes)
    throw new InvalidError(
      `cannot store ${keyText(key)}: got ${bytes.length} bytes, want at most ${largestBytes}`,
    );
  return bytes;
}

/**
 * A value that somebody else wrote, and that holds no object, or one too deep, is handed on as an object with a name and
 * nothing else: validation refuses it and names it, and no reader stops at it.
 */
export function decodeValue(key: ResourceKey, path: string, value: Uint8Array, revision: bigint): Stored {
  const found = readable(key, path, value) ?? nameOnly(key);
  const resourceVersion = String(revision) as Revision;
  const resource = { ...found, metadata: { ...found.metadata, resourceVersion } };
  return { key, resource, revision: resourceVersion };
}

function readable(key: ResourceKey, path: string, value: Uint8Array): Resource | null {
  const parsed = parsedJson(value, key.kind === 'BlockAffinity');
  if (!isObject(parsed) || shapeFault(parsed) !== null) return null;
  if (isIpamKind(key.kind)) return ipamResourceOf(key, parsed, path);
  return isObject(parsed.metadata) ? (parsed as Resource) : null;
}

/** @param emptyIsObject - an affinity had no value at all in Calico's first years. */
function parsedJson(value: Uint8Array, emptyIsObject: boolean): unknown {
  if (value.length === 0 && emptyIsObject) return {};
  if (!isUtf8(value)) return null;
  try {
    return JSON.parse(Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString());
  } catch {
    return null;
  }
}

function nameOnly({ kind, namespace, name }: ResourceKey): Resource {
  return { apiVersion: '', kind, metadata: { name, ...(namespace ? { namespace } : {}) } };
}

function withoutVersion(resource: Resource): Resource {
  const { resourceVersion: _, ...metadata } = resource.metadata;
  return { ...resource, metadata };
}
