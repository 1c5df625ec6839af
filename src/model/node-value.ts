// SPDX-License-Identifier: Apache-2.0
/** Nodes, pools, tiers and settings, as the calculation graph reads them. */
import { tryParseAddress } from '../lib/address.ts';
import type { Address } from '../lib/brand.ts';
import { tryParseCidr } from '../lib/cidr.ts';
import type { Fault } from '../lib/errors.ts';
import { isObject, listAt, memberAt, recordOf, textAt, textMapAt } from './json.ts';
import { orderOf } from './policy-value.ts';
import { parseSelector } from './selector/parse.ts';
import type { FelixConfigurationValue, IPPoolValue, NodeValue, Resource, TierValue } from './types.ts';

export function tier(resource: Resource): TierValue {
  return {
    name: resource.metadata.name,
    order: orderOf(resource),
    defaultAction: textAt(resource, 'spec', 'defaultAction') === 'Pass' ? 'pass' : 'deny',
  };
}

/** What a pool may ask for and no data plane of ours does yet. */
export function poolFaults(resource: Resource): readonly Fault[] {
  const asked = [
    ['natOutgoing', memberAt(resource, 'spec', 'natOutgoing') === true],
    ...['ipipMode', 'vxlanMode'].map(
      (mode) => [mode, !['', 'Never'].includes(textAt(resource, 'spec', mode))] as const,
    ),
  ] as const;
  return asked.flatMap(([field, isAsked]) =>
    isAsked ? [{ path: `spec.${field}`, message: effectText(field) }] : [],
  );
}

function effectText(field: string): string {
  return field === 'natOutgoing'
    ? 'has an effect with the eBPF data plane alone'
    : 'not supported yet: it has no effect';
}

export function pool(resource: Resource): IPPoolValue | null {
  const cidr = tryParseCidr(textAt(resource, 'spec', 'cidr'));
  if (!cidr) return null;
  return {
    cidr,
    disabled: memberAt(resource, 'spec', 'disabled') === true,
    natOutgoing: memberAt(resource, 'spec', 'natOutgoing') === true,
  };
}

/** What Calico's node start-up wrote beats what the kubelet found. */
export function node(resource: Resource): NodeValue {
  const annotations = textMapAt(resource, 'metadata', 'annotations');
  const written = ['IPv4Address', 'IPv6Address'].map(
    (name) => annotations.get(`projectcalico.org/${name}`) ?? '',
  );
  const internal = listAt(resource, 'status', 'addresses')
    .filter((row) => textAt(row, 'type') === 'InternalIP')
    .map((row) => textAt(row, 'address'));
  return nodeValue(resource, [...written, ...internal]);
}

/** The first of each family. */
function nodeValue(resource: Resource, texts: readonly string[]): NodeValue {
  const addresses = texts.flatMap(nodeAddress);
  const firstOf = (v6: boolean) => addresses.find((address) => address.includes(':') === v6);
  return {
    name: resource.metadata.name,
    labels: recordOf(textMapAt(resource, 'metadata', 'labels')),
    addresses: [firstOf(false), firstOf(true)].filter((address) => address !== undefined),
  };
}

/** The annotations have the length of the node's subnet behind the address. */
function nodeAddress(text: string): Address[] {
  const address = tryParseAddress(text.includes('/') ? text.slice(0, text.indexOf('/')) : text);
  return address ? [address] : [];
}

/** projectcalico.org/v3 Node: addresses with the length of the subnet behind them. */
export function calicoNode(resource: Resource): NodeValue {
  const written = ['ipv4Address', 'ipv6Address'].map((name) => textAt(resource, 'spec', 'bgp', name));
  const listed = listAt(resource, 'spec', 'addresses').map((row) => textAt(row, 'address'));
  return nodeValue(resource, [...written, ...listed]);
}

/** Every parameter as the text that its environment variable would have. */
export function felixConfiguration(resource: Resource): FelixConfigurationValue {
  const spec = memberAt(resource, 'spec');
  const selector = textAt(spec, 'nodeSelector');
  const fields = isObject(spec) ? Object.entries(spec).filter(([name]) => name !== 'nodeSelector') : [];
  return {
    name: resource.metadata.name,
    nodeSelector: selector === '' ? null : parseSelector(selector).canonical,
    created: resource.metadata.creationTimestamp ?? '',
    parameters: recordOf(fields.map(([name, value]) => [name, parameterText(name, value)] as const)),
  };
}

/** @see felix/config/config_params.go: `protocol:net:port`, lists joined by commas */
function parameterText(name: string, value: unknown): string {
  if (!Array.isArray(value)) return isObject(value) ? JSON.stringify(value) : String(value);
  if (!name.startsWith('failsafe')) return value.map(String).join(',');
  return value.length === 0 ? 'none' : value.map(failsafeText).join(',');
}

function failsafeText(port: unknown): string {
  const net = textAt(port, 'net');
  const protocol = textAt(port, 'protocol').toLowerCase() || 'tcp';
  return [
    protocol,
    ...(net === '' ? [] : [net.includes(':') ? `[${net}]` : net]),
    String(memberAt(port, 'port')),
  ].join(':');
}
