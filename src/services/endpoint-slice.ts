// SPDX-License-Identifier: Apache-2.0
/** One EndpointSlice: some of a service's endpoints. */
import { type Family, tryParseAddress } from '../lib/address.ts';
import type { Fault } from '../lib/errors.ts';
import { parseProtocol } from '../lib/protocol.ts';
import { listAt, memberAt, textAt, textMapAt } from '../model/json.ts';
import type { Resource } from '../model/types.ts';
import { validateResource } from '../model/validate/resource.ts';
import type { Endpoint, EndpointGroup, GroupPort } from './endpoint.ts';
import { isForOthers } from './service-spec.ts';
import { isSpecial } from './special-address.ts';

export interface SliceView {
  /** `namespace/name`; null: of no service of ours. */
  readonly service: string | null;
  readonly group: EndpointGroup;
  readonly faults: readonly Fault[];
}

const serviceLabel = 'kubernetes.io/service-name';
const nothing: EndpointGroup = { ports: [], endpoints: [] };

/** An unreadable slice gives no endpoint, and still is its service's: what is wrong there is not made up from Pods. */
export function readSlice(namespace: string, stored: unknown): SliceView {
  const labels = textMapAt(stored, 'metadata', 'labels');
  const owner = labels.get(serviceLabel) ?? '';
  if (owner === '' || isForOthers(labels)) return { service: null, group: nothing, faults: [] };
  const service = `${namespace}/${owner}`;
  const { resource, faults } = validateResource(stored);
  if (!resource) return { service, group: nothing, faults };
  return { service, ...readGroup(resource) };
}

/** Names (addressType FQDN) mean nothing to a packet. */
function readGroup(slice: Resource): { group: EndpointGroup; faults: readonly Fault[] } {
  const type = textAt(slice, 'addressType');
  if (type === 'FQDN') return { group: nothing, faults: [] };
  const family = type === 'IPv6' ? 6 : 4;
  const faults: Fault[] = [];
  const endpoints = listAt(slice, 'endpoints').flatMap((item, i) => endpointOf(item, i, family, faults));
  return { group: { ports: listAt(slice, 'ports').flatMap(portOf), endpoints }, faults };
}

/** Without number it is any port, which nobody balances: kube-proxy leaves it out too. */
function portOf(item: unknown): readonly GroupPort[] {
  const port = memberAt(item, 'port');
  if (typeof port !== 'number' || port < 1) return [];
  return [{ name: textAt(item, 'name'), protocol: parseProtocol(textAt(item, 'protocol') || 'TCP'), port }];
}

/** Of several addresses the first counts: they are one and the same endpoint. */
function endpointOf(item: unknown, index: number, family: Family, faults: Fault[]): readonly Endpoint[] {
  const [text] = listAt(item, 'addresses');
  const address = typeof text === 'string' ? tryParseAddress(text) : null;
  if (!address || address.includes(':') !== (family === 6)) return [];
  if (isSpecial(address)) {
    const message = `got ${address}, want an address that other hosts reach too: the endpoint does not count`;
    faults.push({ path: `endpoints[${index}].addresses[0]`, message });
    return [];
  }
  return [{ address, node: textAt(item, 'nodeName') || null, ...conditionsOf(item), ...hintsOf(item) }];
}

/** Absent means: ready, serving, not terminating. */
function conditionsOf(item: unknown): Pick<Endpoint, 'ready' | 'serving' | 'terminating'> {
  return {
    ready: memberAt(item, 'conditions', 'ready') !== false,
    serving: memberAt(item, 'conditions', 'serving') !== false,
    terminating: memberAt(item, 'conditions', 'terminating') === true,
  };
}

function hintsOf(item: unknown): Pick<Endpoint, 'zoneHints' | 'nodeHints'> {
  const names = (list: string) =>
    listAt(item, 'hints', list)
      .map((hint) => textAt(hint, 'name'))
      .filter((name) => name !== '');
  return { zoneHints: names('forZones'), nodeHints: names('forNodes') };
}
