// SPDX-License-Identifier: Apache-2.0
/** Objects as rows that clients print without knowing their kind: meta.k8s.io/v1 Table; and metadata alone. */
import type { Json, JsonObject } from '../../model/types.ts';
import { textAt } from './json.ts';
import type { ApiObject } from './object.ts';
import type { ServedResource, TableColumn } from './served-resource.ts';

/** meta.k8s.io/v1 Table. @param include - what of each object its row carries */
export function tableOf(
  resource: ServedResource,
  objects: readonly ApiObject[],
  listMeta: JsonObject,
  include: 'None' | 'Metadata' | 'Object',
  now: Date,
): JsonObject {
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: listMeta,
    columnDefinitions: resource.columns.map(({ cell: _, ...definition }) => definition),
    rows: objects.map((object) => ({
      cells: resource.columns.map((column) => column.cell(object, now)),
      object: rowObject(object, include),
    })),
  };
}

function rowObject(object: ApiObject, include: 'None' | 'Metadata' | 'Object'): Json {
  if (include === 'None') return null;
  return include === 'Object' ? object : partialMetadata(object);
}

/** meta.k8s.io/v1 PartialObjectMetadata. */
export function partialMetadata(object: ApiObject): JsonObject {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata };
}

export const nameColumn: TableColumn = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'Name must be unique within a namespace.',
  priority: 0,
  cell: (object) => object.metadata.name,
};

/** @param type - `date` for custom kinds, `string` for built-in ones */
export function ageColumn(type: string): TableColumn {
  return {
    name: 'Age',
    type,
    format: '',
    description: 'Time since the object was created.',
    priority: 0,
    cell: (object, now) => ageOf(textAt(object, 'metadata', 'creationTimestamp'), now),
  };
}

/** How long ago, as kubectl says it; two units where the first alone would be coarse. */
export function ageOf(instant: string, now: Date): string {
  const since = Date.parse(instant);
  if (instant === '') return '<unknown>';
  if (Number.isNaN(since)) return '<invalid>';
  return humanDuration(Math.floor((now.getTime() - since) / 1000));
}

/** k8s.io/apimachinery/pkg/util/duration HumanDuration. */
function humanDuration(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(seconds / 3600);
  const days = Math.floor(hours / 24);
  const years = Math.floor(days / 365);
  if (seconds < -1) return '<invalid>';
  if (seconds < 0) return '0s';
  if (seconds < 120) return `${seconds}s`;
  if (minutes < 10) return two(minutes, 'm', seconds % 60, 's');
  if (minutes < 180) return `${minutes}m`;
  if (hours < 8) return two(hours, 'h', minutes % 60, 'm');
  if (hours < 48) return `${hours}h`;
  if (days < 8) return two(days, 'd', hours % 24, 'h');
  if (days < 730) return `${days}d`;
  return years < 8 ? two(years, 'y', days % 365, 'd') : `${years}y`;
}

function two(large: number, unit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large}${unit}` : `${large}${unit}${small}${smallUnit}`;
}
