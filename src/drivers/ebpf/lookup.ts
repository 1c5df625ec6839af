// SPDX-License-Identifier: Apache-2.0
/**
 * One question that a program asks the maps `sets` and `nets`: which of these sources, in order, is the first that holds the
 * address? The answer is its index and one. A set alone is a lookup with one source.
 *
 * The family is part of the name: addresses of IPv4 stand as ::ffff:a.b.c.d, which ::/0 and its like of IPv6 would hold too.
 */
import type { Family } from '../../lib/address.ts';
import type { Cidr, IpSetId } from '../../lib/brand.ts';
import { setId } from './names.ts';

export type LookupSource = { readonly set: IpSetId } | { readonly nets: readonly Cidr[] };

export interface Lookup {
  readonly id: bigint;
  readonly family: Family;
  /** Whether rows are addresses, or addresses with protocol and port. */
  readonly of: 'address' | 'port';
  readonly sources: readonly LookupSource[];
}

export function lookupOf(family: Family, of: Lookup['of'], sources: readonly LookupSource[]): Lookup {
  return { id: setId(JSON.stringify([family, of, sources])), family, of, sources };
}

/** The IP sets among the sources, each once. */
export function setsOf({ sources }: Lookup): readonly IpSetId[] {
  return [...new Set(sources.flatMap((source) => ('set' in source ? [source.set] : [])))];
}
