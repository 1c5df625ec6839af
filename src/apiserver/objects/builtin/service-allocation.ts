// SPDX-License-Identifier: Apache-2.0
/** Cluster addresses and node ports of Services: free ones of the ranges, by what every stored Service holds. */

import { addressFromNumber, familyOf, tryParseAddress } from '../../../lib/address.ts';
import { cidrRange, tryParseCidr } from '../../../lib/cidr.ts';
import type { Json, JsonObject } from '../../../model/types.ts';
import { ApiError } from '../api-error.ts';
import { invalid, refusal } from '../causes.ts';
import { isMap, listAt, mapAt, memberOf, textAt } from '../json.ts';
import type { ApiObject } from '../object.ts';
import type { RequestContext } from '../served-resource.ts';

export function hasClusterIp(spec: JsonObject): boolean {
  return textAt(spec, 'type') !== 'ExternalName';
}

export function isHeadless(spec: JsonObject): boolean {
  return textAt(spec, 'clusterIP') === 'None' || listAt(spec, 'clusterIPs')[0] === 'None';
}

export function nodePortsWanted(spec: JsonObject): boolean {
  const type = textAt(spec, 'type');
  return (
    type === 'NodePort' ||
    (type === 'LoadBalancer' && memberOf(spec, 'allocateLoadBalancerNodePorts') !== false)
  );
}

/**
 * @param previous - null at birth
 * @throws {ApiError} when nothing is free, or what is asked for is not
 */
export function allocated(
  service: ApiObject,
  previous: ApiObject | null,
  context: RequestContext,
): ApiObject {
  const spec = mapAt(service, 'spec');
  if (!hasClusterIp(spec)) return service;
  const others = context
    .list('', 'services')
    .filter(
      ({ metadata }) =>
        metadata.name !== service.metadata.name || metadata.namespace !== service.metadata.namespace,
    );
  const addressed = withFamilies(withAddresses(spec, service, others, context));
  return { ...service, spec: withNodePorts(addressed, previous, others, context) };
}

// ---- addresses -------------------------------------------------------------------------------------------------------

function withAddresses(
  spec: JsonObject,
  service: ApiObject,
  others: readonly ApiObject[],
  context: RequestContext,
): JsonObject {
  const asked = textAt(spec, 'clusterIP') || String(listAt(spec, 'clusterIPs')[0] ?? '');
  if (asked === 'None') return { ...spec, clusterIP: 'None', clusterIPs: ['None'] };
  const held = new Set(others.flatMap((other) => listAt(other, 'spec', 'clusterIPs')));
  if (asked !== '') {
    checkFree(asked, service, held);
    const all = listAt(spec, 'clusterIPs');
    return { ...spec, clusterIP: asked, clusterIPs: all.length > 0 ? all : [asked] };
  }
  const addresses = rangesFor(spec, context.services.ranges).map((range) =>
    freeAddress(range, held, context),
  );
  return { ...spec, clusterIP: addresses[0] ?? '', clusterIPs: addresses };
}

function checkFree(asked: string, service: ApiObject, held: ReadonlySet<Json>): void {
  if (!held.has(asked)) return;
  const detail = `failed to allocate IP ${asked}: provided IP is already allocated`;
  throw refusal({ group: '', kind: 'Service' }, service.metadata.name, [
    invalid('spec.clusterIPs', [asked], detail),
  ]);
}

function familyNameOf(address: string): string {
  return familyOf(address) === 4 ? 'IPv4' : 'IPv6';
}

function rangesFor(spec: JsonObject, ranges: readonly string[]): readonly string[] {
  const asked = listAt(spec, 'ipFamilies');
  const policy = textAt(spec, 'ipFamilyPolicy');
  const wanted =
    asked.length > 0
      ? asked.flatMap((family) => ranges.filter((each) => familyNameOf(each) === family))
      : ranges;
  const rest = ranges.filter((range) => !wanted.includes(range));
  const isDual = policy === 'PreferDualStack' || policy === 'RequireDualStack' || asked.length > 1;
  return isDual ? [...wanted, ...rest] : wanted.slice(0, 1);
}

function rangeOf(range: string): ReturnType<typeof cidrRange> {
  const cidr = tryParseCidr(range);
  if (!cidr) throw new ApiError(500, 'InternalError', `service range: got ${range}, want a CIDR`);
  return cidrRange(cidr);
}

/** From somewhere in the range on, so that an address is not soon another Service's. */
function freeAddress(range: string, held: ReadonlySet<Json>, context: RequestContext): string {
  const { first, last, family } = rangeOf(range);
  // The first address of the range, the server's own and the broadcast address are nobody's.
  const [from, count] = [first + 2n, last - first - 2n];
  const start = count > 0n ? randomFrom(context) % count : 0n;
  for (let i = 0n; i < count && i < 65536n; i++) {
    const address = addressFromNumber(from + ((start + i) % count), family);
    if (!held.has(address)) return address;
  }
  throw new ApiError(500, 'InternalError', `failed to allocate a serviceIP: range ${range} is full`);
}

function randomFrom(context: RequestContext): bigint {
  return BigInt(
    `0x${
      context
        .newUid()
        .replaceAll(/[^0-9a-f]/g, '')
        .slice(0, 12) || '0'
    }`,
  );
}

function withFamilies(spec: JsonObject): JsonObject {
  if (isHeadless(spec)) return { ...spec, ...orElse(spec, ['IPv4']) };
  const families = listAt(spec, 'clusterIPs').flatMap((each) => {
    const address = tryParseAddress(String(each));
    return address ? [familyNameOf(address)] : [];
  });
  return { ...spec, ...orElse(spec, families) };
}

function orElse(spec: JsonObject, families: readonly string[]): JsonObject {
  const asked = listAt(spec, 'ipFamilies');
  return {
    ipFamilies: asked.length > families.length ? asked : families,
    ipFamilyPolicy: textAt(spec, 'ipFamilyPolicy') || 'SingleStack',
  };
}

// ---- node ports ------------------------------------------------------------------------------------------------------

function withNodePorts(
  spec: JsonObject,
  previous: ApiObject | null,
  others: readonly ApiObject[],
  context: RequestContext,
): JsonObject {
  const held = new Set<Json>(others.flatMap(portsHeld));
  for (const port of listAt(spec, 'ports')) held.add(memberOf(port, 'nodePort') ?? 0);
  const take = () => {
    const free = freePort(held, context);
    held.add(free);
    return free;
  };
  const given = nodePortsWanted(spec) ? withPorts(spec, previous, take) : spec;
  const isChecked =
    textAt(spec, 'type') === 'LoadBalancer' && textAt(spec, 'externalTrafficPolicy') === 'Local';
  if (!isChecked || memberOf(given, 'healthCheckNodePort') !== undefined) return given;
  const before = mapAt(previous ?? {}, 'spec');
  return { ...given, healthCheckNodePort: memberOf(before, 'healthCheckNodePort') ?? take() };
}

function portsHeld(service: ApiObject): readonly Json[] {
  const check = memberOf(mapAt(service, 'spec'), 'healthCheckNodePort');
  return [check ?? 0, ...listAt(service, 'spec', 'ports').map((port) => memberOf(port, 'nodePort') ?? 0)];
}

/** A port keeps its node port as long as its protocol and number stay. */
function withPorts(spec: JsonObject, previous: ApiObject | null, take: () => number): JsonObject {
  const old = new Map(
    listAt(previous ?? {}, 'spec', 'ports').map((port) => [portKey(port), memberOf(port, 'nodePort')]),
  );
  const ports = listAt(spec, 'ports').map((port) => {
    if (!isMap(port) || memberOf(port, 'nodePort') !== undefined) return port;
    return { ...port, nodePort: old.get(portKey(port)) ?? take() };
  });
  return { ...spec, ports };
}

function portKey(port: Json): string {
  return `${textAt(port, 'protocol')}/${String(memberOf(port, 'port'))}`;
}

function freePort(held: ReadonlySet<Json>, context: RequestContext): number {
  const { first, last } = context.services.nodePorts;
  const count = last - first + 1;
  const start = Number(randomFrom(context) % BigInt(count));
  for (let i = 0; i < count; i++) {
    const port = first + ((start + i) % count);
    if (!held.has(port)) return port;
  }
  throw new ApiError(500, 'InternalError', `failed to allocate a nodePort: range ${first}-${last} is full`);
}
