// SPDX-License-Identifier: Apache-2.0
/**
 * What the API server of a cluster gives a Service that is written without: cluster addresses, node ports and the port of
 * its health check. Pure: what is given depends on what is taken.
 *
 * @see kubernetes pkg/registry/core/service: ipallocator and portallocator; KEP-3070, KEP-3668: what is chosen for its author
 * comes from the upper part of a range first, so that the lower part stays for those who choose themselves
 */
import { addressFromNumber, type Family, familyOf, tryParseAddress } from '../lib/address.ts';
import type { Address, Cidr } from '../lib/brand.ts';
import { cidrRange, parseCidr } from '../lib/cidr.ts';
import { isObject, listAt, memberAt, textAt } from '../model/json.ts';
import type { Resource } from '../model/types.ts';

export const serviceRanges: { readonly [F in Family]: Cidr } = {
  4: parseCidr('10.96.0.0/16'),
  6: parseCidr('fd96::/112'),
};
const ownChoiceAddresses = 256n;
const nodePortRange = { first: 30_000, last: 32_767 };
const ownChoicePorts = 86;

/** What services have already; what is given is added. */
export class Taken {
  readonly #addresses = new Set<Address>();
  readonly #ports = new Set<number>();
  /** What lies before is taken: it is not looked at again. */
  readonly #freeAddresses = { 4: addressCandidates(4), 6: addressCandidates(6) };
  readonly #freePorts = portCandidates();

  constructor(services: readonly Resource[]) {
    for (const service of services) this.#add(service);
  }

  freeAddress(family: Family): Address | null {
    const next = this.#freeAddresses[family];
    for (let each = next.next(); !each.done; each = next.next()) {
      const address = addressFromNumber(each.value, family);
      if (!this.#addresses.has(address)) return address;
    }
    return null;
  }

  freePort(): number | null {
    for (let each = this.#freePorts.next(); !each.done; each = this.#freePorts.next())
      if (!this.#ports.has(each.value)) return each.value;
    return null;
  }

  #add(service: Resource): void {
    for (const address of clusterAddresses(service)) this.#addresses.add(address);
    for (const port of listAt(service, 'spec', 'ports')) this.#ports.add(nodePortOf(port));
    this.#ports.add(healthPortOf(service));
  }
}

/** Null: it lacks nothing. A text: why it cannot have what it lacks. */
export function allocated(service: Resource, taken: Taken): Resource | string | null {
  const type = textAt(service, 'spec', 'type') || 'ClusterIP';
  if (type === 'ExternalName') return null;
  const addresses = addressFields(service, taken);
  const ports = takesNodePorts(service, type) ? portFields(service, taken) : {};
  const health = takesHealthCheck(service, type) ? healthFields(taken) : {};
  const refused = [addresses, ports, health].find((fields) => typeof fields === 'string');
  if (typeof refused === 'string') return refused;
  const given = { ...(addresses as object), ...(ports as object), ...(health as object) };
  if (Object.keys(given).length === 0) return null;
  return { ...service, spec: { ...(memberAt(service, 'spec') as object | undefined), ...given } };
}

type Given = { readonly [field: string]: unknown } | string;

function addressFields(service: Resource, taken: Taken): Given {
  if (isHeadless(service)) return {};
  const have = clusterAddresses(service);
  const missing = familiesOf(service, have).filter(
    (family) => !have.some((each) => familyOf(each) === family),
  );
  if (missing.length === 0) return {};
  const found = missing.map((family) => ({ family, address: taken.freeAddress(family) }));
  const without = found.find(({ address }) => address === null);
  if (without) return `no free address in ${serviceRanges[without.family]}`;
  const all = [...have, ...found.map(({ address }) => address)];
  return { clusterIP: all[0], clusterIPs: all };
}

/** One family unless two are asked for; which one comes first is the author's, else IPv4. */
function familiesOf(service: Resource, have: readonly Address[]): readonly Family[] {
  const written = listAt(service, 'spec', 'ipFamilies').flatMap((name): Family[] =>
    name === 'IPv4' ? [4] : name === 'IPv6' ? [6] : [],
  );
  const first = have.map((address) => familyOf(address));
  const wantsBoth = ['PreferDualStack', 'RequireDualStack'].includes(
    textAt(service, 'spec', 'ipFamilyPolicy'),
  );
  const order = [...new Set<Family>([...first, ...written, 4, 6])];
  return order.slice(0, wantsBoth ? 2 : Math.max(1, written.length));
}

function portFields(service: Resource, taken: Taken): Given {
  const ports = listAt(service, 'spec', 'ports');
  if (ports.every((port) => nodePortOf(port) !== 0)) return {};
  const given = ports.map((port) => (nodePortOf(port) === 0 ? taken.freePort() : nodePortOf(port)));
  if (given.includes(null)) return noPort;
  return { ports: ports.map((port, i) => (isObject(port) ? { ...port, nodePort: given[i] } : port)) };
}

const noPort = `no free node port from ${nodePortRange.first} to ${nodePortRange.last}`;

function healthFields(taken: Taken): Given {
  const port = taken.freePort();
  return port === null ? noPort : { healthCheckNodePort: port };
}

/** Every candidate once, the upper part first. */
function* addressCandidates(family: Family): Generator<bigint> {
  const { first, last } = cidrRange(serviceRanges[family]);
  const start = first + ownChoiceAddresses;
  for (let number = start; number < last; number++) yield number;
  for (let number = first + 1n; number < start; number++) yield number;
}

function* portCandidates(): Generator<number> {
  const { first, last } = nodePortRange;
  const start = first + ownChoicePorts;
  for (let port = start; port <= last; port++) yield port;
  for (let port = first; port < start; port++) yield port;
}

function takesNodePorts(service: Resource, type: string): boolean {
  if (type === 'NodePort') return true;
  return type === 'LoadBalancer' && memberAt(service, 'spec', 'allocateLoadBalancerNodePorts') !== false;
}

function takesHealthCheck(service: Resource, type: string): boolean {
  const isLocal = textAt(service, 'spec', 'externalTrafficPolicy') === 'Local';
  return type === 'LoadBalancer' && isLocal && healthPortOf(service) === 0;
}

function clusterTexts(service: Resource): readonly string[] {
  const list = listAt(service, 'spec', 'clusterIPs').map(String);
  return list.length > 0 ? list : [textAt(service, 'spec', 'clusterIP')];
}

function isHeadless(service: Resource): boolean {
  return clusterTexts(service).includes('None');
}

function clusterAddresses(service: Resource): readonly Address[] {
  return clusterTexts(service).flatMap((text) => tryParseAddress(text) ?? []);
}

function nodePortOf(port: unknown): number {
  return Number(memberAt(port, 'nodePort') ?? 0);
}

function healthPortOf(service: Resource): number {
  return Number(memberAt(service, 'spec', 'healthCheckNodePort') ?? 0);
}
