// SPDX-License-Identifier: Apache-2.0
/** Pools may not overlap: an address would be two pools'. @see libcalico-go/lib/clientv3/ippool.go, validateAndSetDefaults */
import type { Stored, Write } from '../contract/datastore.ts';
import { cidrContains, tryParseCidr } from '../lib/cidr.ts';
import { type Fault, InvalidError } from '../lib/errors.ts';
import { textAt } from '../model/json.ts';
import { keyPath } from '../model/kinds.ts';
import { readOrigin } from '../model/origin.ts';
import type { Resource } from '../model/types.ts';
import { objectName } from './object-name.ts';

/** @throws {InvalidError} with every pool to be written that overlaps one that will stand beside it. */
export function refuseOverlaps(writes: readonly Write[], stored: ReadonlyMap<string, Stored>): void {
  const pools = new Map<string, Resource>(
    [...stored]
      .filter(([, { key }]) => key.kind === 'IPPool')
      .map(([path, { resource }]) => [path, resource]),
  );
  const written = writes.flatMap((write) =>
    write.op !== 'delete' && write.key.kind === 'IPPool'
      ? [{ path: keyPath(write.key), pool: write.resource }]
      : [],
  );
  for (const { path, pool } of written) pools.set(path, pool);
  const faults = written.flatMap(({ path, pool }) =>
    [...pools]
      .filter(([other, beside]) => other !== path && overlap(pool, beside))
      .map(([, beside]) => overlapFault(pool, beside)),
  );
  if (faults.length > 0) throw new InvalidError(`${faults.length} overlaps of pools`, faults);
}

function overlap(a: Resource, b: Resource): boolean {
  const [left, right] = [a, b].map((pool) => tryParseCidr(textAt(pool, 'spec', 'cidr')));
  return !!left && !!right && (cidrContains(left, right) || cidrContains(right, left));
}

function overlapFault(pool: Resource, beside: Resource): Fault {
  const origin = readOrigin(pool);
  const [own, other] = [pool, beside].map((each) => textAt(each, 'spec', 'cidr'));
  return {
    path: 'spec.cidr',
    message: `${objectName(pool)}: got ${own}, want no overlap with ${objectName(beside)} (${other})`,
    ...(origin ? { file: origin.file, line: origin.line } : {}),
  };
}
