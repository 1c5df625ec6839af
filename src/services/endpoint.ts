// SPDX-License-Identifier: Apache-2.0
/** Where a service is answered, as EndpointSlices tell it: API reference discovery.k8s.io/v1. */
import { type Family, familyOf } from '../lib/address.ts';
import type { Address } from '../lib/brand.ts';

export interface Endpoint {
  readonly address: Address;
  /** Null: nobody says where it runs. */
  readonly node: string | null;
  readonly ready: boolean;
  /** Answers, ready or not: what ends goes on answering for a while. */
  readonly serving: boolean;
  readonly terminating: boolean;
  /** For whose clients it is meant; empty: nobody says. */
  readonly zoneHints: readonly string[];
  readonly nodeHints: readonly string[];
}

/** Every endpoint answers on every port. */
export interface EndpointGroup {
  readonly ports: readonly GroupPort[];
  readonly endpoints: readonly Endpoint[];
}

export interface GroupPort {
  readonly name: string;
  readonly protocol: number;
  readonly port: number;
}

export interface PortEndpoint extends Endpoint {
  readonly port: number;
}

/**
 * The endpoints of one port of a service, each once: of two that are told alike the first counts, unless only the second
 * is known to be on this node.
 *
 * @param groups - in order of their names. @see kubernetes pkg/proxy/endpointslicecache.go, addEndpoints
 */
export function portEndpoints(
  groups: readonly EndpointGroup[],
  port: { readonly name: string; readonly protocol: number },
  family: Family,
  here: string,
): readonly PortEndpoint[] {
  const found = new Map<string, PortEndpoint>();
  for (const { ports, endpoints } of groups) {
    const numbers = ports.filter(({ name, protocol }) => name === port.name && protocol === port.protocol);
    for (const { port: number } of numbers) {
      for (const endpoint of endpoints) {
        if (familyOf(endpoint.address) !== family) continue;
        const key = `${endpoint.address} ${number}`;
        if (!found.has(key) || endpoint.node === here) found.set(key, { ...endpoint, port: number });
      }
    }
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, endpoint]) => endpoint);
}
