// SPDX-License-Identifier: Apache-2.0
/** A row of the store's tables, and the resource that it is. */
import type { Stored } from '../../contract/datastore.ts';
import type { Revision } from '../../lib/brand.ts';
import { shapeFault } from '../../model/json.ts';
import type { Resource, ResourceKey, ResourceKind } from '../../model/types.ts';

export interface Row {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly revision: number;
  /** null: deleted. */
  readonly body: string | null;
}

export function toStored(row: Row): Stored {
  const body = bodyOf(row);
  const revision = toRevision(row.revision);
  const key = keyOfRow(row);
  return { key, revision, resource: { ...body, metadata: { ...body.metadata, resourceVersion: revision } } };
}

/**
 * A row that someone else wrote, and that holds no object with metadata, or one too deep, is handed on as an object with a name and
 * nothing else: validation refuses it and names it, and no reader stops at it.
 */
function bodyOf({ kind, namespace, name, body }: Row): Resource {
  const parsed = parsedJson(body ?? '');
  if (isObject(parsed) && 'metadata' in parsed && isObject(parsed.metadata) && shapeFault(parsed) === null)
    return parsed as unknown as Resource;
  return { apiVersion: '', kind, metadata: { name, ...(namespace ? { namespace } : {}) } };
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function keyOfRow({ kind, namespace, name }: Pick<Row, 'kind' | 'namespace' | 'name'>): ResourceKey {
  return { kind: kind as ResourceKind, name, ...(namespace ? { namespace } : {}) };
}

export function toRevision(value: number): Revision {
  return String(value) as Revision;
}
