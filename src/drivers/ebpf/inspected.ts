// SPDX-License-Identifier: Apache-2.0
/** What the driver lends to whoever looks into it, and how rows are picked: those that match, up to a limit, the rest counted. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FlowEndpoint } from '../../contract/flow.ts';
import type { BpfMap, MapEntry } from '../../kernel/bpf/map.ts';
import type { Address, KeyPath } from '../../lib/brand.ts';
import { InvalidError, NotFoundError } from '../../lib/errors.ts';
import type { ListedBlock } from './compile.ts';
import type { EndpointBook } from './endpoint-book.ts';
import type { EventNames } from './events.ts';
import type { Lookup } from './lookup.ts';
import type { WantedPolicy } from './policies.ts';

export interface Inspected {
  readonly map: (name: string) => BpfMap;
  readonly names: EventNames;
  readonly endpoints: EndpointBook;
  /** Null: it went. */
  readonly linkName: (ifIndex: number) => string | null;
  readonly isOpen: (ifName: string) => boolean;
  readonly lookups: () => Iterable<{ lookup: Lookup; rows: number; description: string }>;
  /** Of a workload or host endpoint. */
  readonly policiesOf: (id: KeyPath) => readonly WantedPolicy[];
  readonly listing: (policy: WantedPolicy) => readonly ListedBlock[] | null;
  /** Since the driver started. */
  readonly events: () => { readonly told: number; readonly lost: number };
}

/** Rows between two turns of the event loop: some milliseconds. */
const rowsPerTurn = 4096;

/** Only of hash maps: the keys of others come in an order that changes with them. */
export async function* unhurried(map: BpfMap): AsyncGenerator<MapEntry> {
  let count = 0;
  for (const entry of map.entries()) {
    if (++count % rowsPerTurn === 0) await nextTurn();
    yield entry;
  }
}

/** The first so many; the others are counted. */
export class Picked<T> {
  readonly rows: T[] = [];
  readonly #limit: number;
  leftOut = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** @param row - made only where there is room for it. */
  add(row: () => T): void {
    if (this.rows.length < this.#limit) this.rows.push(row());
    else this.leftOut++;
  }
}

/** @throws {NotFoundError} {InvalidError} where several have that name. */
export function endpointNamed(of: Inspected, text: string): FlowEndpoint {
  const [endpoint, ...others] = of.endpoints.find(text);
  if (!endpoint)
    throw new NotFoundError(`cannot find endpoint ${text}: this node has none of that id or name`);
  if (others.length === 0) return endpoint;
  const names = [endpoint, ...others].map(({ id }) => id).sort();
  throw new InvalidError(`endpoint ${text}: got a name of ${names.join(' and ')}, want one of these ids`);
}

/** Both absent: null, any address will do. @throws {NotFoundError} {InvalidError} for an endpoint without addresses. */
export function wantedAddresses(
  of: Inspected,
  { address, endpoint }: { readonly address?: Address; readonly endpoint?: string },
): ReadonlySet<string> | null {
  const wanted = endpoint === undefined ? [] : addressesOf(of, endpoint);
  if (address !== undefined) return new Set(wanted.length === 0 || wanted.includes(address) ? [address] : []);
  return endpoint === undefined ? null : new Set(wanted);
}

function addressesOf(of: Inspected, text: string): readonly Address[] {
  const { id } = endpointNamed(of, text);
  const addresses = of.endpoints.addressesOf(id);
  if (addresses.length === 0)
    throw new InvalidError(`endpoint ${text}: got ${id}, want a workload with an address`);
  return addresses;
}
