// SPDX-License-Identifier: Apache-2.0
/** A host by chance: its endpoints, its settings, and packets that come to it, leave it and pass through it. */
import { familyOf } from '../../src/lib/address.ts';
import type { Address } from '../../src/lib/brand.ts';
import { hostCidr } from '../../src/lib/cidr.ts';
import type { Failsafe, HostSettings, OracleHost } from '../../src/model/oracle/host.ts';
import type { OraclePacket } from '../../src/model/oracle/policy.ts';
import type { Resource } from '../../src/model/types.ts';
import { generateHead, type PacketOptions } from './generate-packets.ts';
import { labelsFor, portNames, portNumbers, vocabulary, type World } from './generate-pools.ts';
import type { Random } from './random.ts';

export interface HostPlan {
  readonly node: string;
  readonly links: readonly HostLink[];
}

interface HostLink {
  readonly name: string;
  /** The host's own. */
  readonly addresses: readonly Address[];
  /** Those behind it. */
  readonly beyond: readonly Address[];
}

/** A missing one denies wherever it stands: before the others is where that shows. */
const profiles = ['missing', 'projectcalico-default-allow', 'kns.red', 'nobodys'] as const;

export function hostEndpointIn(world: World, { node, links }: HostPlan, i: number): Resource {
  const { random } = world;
  const link = random.pick(links);
  // Never a pod's: an address is a host's or a pod's, and who else has its named ports depends on that.
  const hosts = links.flatMap(({ addresses, beyond }) => [...addresses, ...beyond]);
  const expected = { expectedIPs: random.some(hosts, 1, 3) };
  return {
    apiVersion: 'projectcalico.org/v3',
    kind: 'HostEndpoint',
    metadata: { name: `host-${i}`, labels: labelsFor(random, { ...vocabulary.pod, ...vocabulary.host }) },
    spec: {
      node: random.chance(0.85) ? node : 'far',
      ...random.pick<() => object>([
        () => ({ interfaceName: link.name }),
        () => ({ interfaceName: link.name, ...expected }),
        () => ({ interfaceName: '*' }),
        () => expected,
        () => ({ expectedIPs: random.some(link.addresses, 1, 2) }),
      ])(),
      ...random.maybe(0.7, () => ({ profiles: random.some(profiles, 0, 2) })),
      ...random.maybe(0.5, () => ({ ports: namedPorts(random) })),
    },
  };
}

function namedPorts(random: Random): object[] {
  return random.some(portNames, 1, portNames.length).map((name) => ({
    name,
    protocol: random.pick(['TCP', 'UDP', 'SCTP', 6, 17]),
    port: random.pick(portNumbers),
  }));
}

/** @param settings - those that a test cannot vary. */
export function generateHost(
  random: Random,
  { node, links }: HostPlan,
  settings: Partial<HostSettings> = {},
): OracleHost {
  const peers = links.flatMap((link) => link.beyond);
  const chosen: HostSettings = {
    endpointToHost: random.pick(['drop', 'return', 'accept'] as const),
    failsafeInbound: failsafes(random, 'in', peers),
    failsafeOutbound: failsafes(random, 'out', peers),
    vxlanFromWorkloads: random.chance(0.3),
    ipipFromWorkloads: random.chance(0.3),
    vxlanPort: 4789,
  };
  return {
    node,
    interfaces: new Map(links.map(({ name, addresses }) => [name, addresses])),
    settings: { ...chosen, ...settings },
  };
}

/** Ports that policies name too, else nobody would notice. */
const failsafePorts = { in: [22, 80, 443, 8080], out: [53, 80, 443, 8080] } as const;

function failsafes(random: Random, way: 'in' | 'out', peers: readonly Address[]): Failsafe[] {
  return random.some(failsafePorts[way], 0, 3).map((port) => ({
    protocol: random.pick([6, 6, 17]),
    port,
    ...random.maybe(0.2, () => ({ net: hostCidr(random.pick(peers)) })),
  }));
}

export interface HostPacketOptions extends PacketOptions {
  /** Also what can hardly be sent in a test: translated, replies, encapsulated, neighbour discovery. */
  readonly imagined?: boolean;
}

interface End {
  readonly at: 'pod' | 'host' | 'beyond';
  readonly address: Address;
  readonly link?: string;
}

/**
 * From and to a host, its pods and what is beyond its links, but between two pods and between two of its own addresses;
 * both ends have one family.
 *
 * @param pods - that are on it and have an endpoint.
 */
export function generateHostPacket(
  random: Random,
  plan: HostPlan,
  pods: readonly Address[],
  options: HostPacketOptions = {},
): OraclePacket {
  const ends = endsOf(plan, pods);
  const from = random.pick(ends[random.pick(placesIn(ends))]);
  const others = [...ends.pod, ...ends.host, ...ends.beyond].filter((to) => mayMeet(from, to));
  const places = [...new Set(others.map(({ at }) => at))];
  const place = random.pick(places);
  const to = random.pick(others.filter(({ at }) => at === place));
  const packet: OraclePacket = {
    from: from.address,
    to: to.address,
    ...(from.link === undefined ? {} : { in: from.link }),
    ...(to.link === undefined ? {} : { out: to.link }),
    ...generateHead(random, familyOf(from.address), options),
  };
  return options.imagined ? imagined(random, plan, packet) : packet;
}

function endsOf(
  { links }: HostPlan,
  pods: readonly Address[],
): { readonly [At in End['at']]: readonly End[] } {
  return {
    pod: pods.map((address) => ({ at: 'pod', address })),
    host: links.flatMap((link) => link.addresses.map((address) => ({ at: 'host' as const, address }))),
    beyond: links.flatMap(({ name, beyond }) =>
      beyond.map((address) => ({ at: 'beyond' as const, address, link: name })),
    ),
  };
}

/** Host endpoints look mostly at what comes from elsewhere. */
function placesIn(ends: ReturnType<typeof endsOf>): End['at'][] {
  return (['pod', 'host', 'host', 'beyond', 'beyond', 'beyond'] as const).filter((at) => ends[at].length > 0);
}

/** What is behind one link meets there without the host. */
function mayMeet(from: End, to: End): boolean {
  if (familyOf(from.address) !== familyOf(to.address) || from.address === to.address) return false;
  return from.at !== to.at || (from.at === 'beyond' && from.link !== to.link);
}

const neighbourTypes = [130, 131, 132, 133, 134, 135, 136, 143] as const;

function imagined(random: Random, plan: HostPlan, packet: OraclePacket): OraclePacket {
  const family = familyOf(packet.from);
  const own = plan.links.flatMap((link) => link.addresses).filter((address) => familyOf(address) === family);
  const { srcPort, dstPort, icmpType, icmpCode, ...head } = packet;
  return random.pick<() => OraclePacket>([
    () => packet,
    () => packet,
    () => packet,
    () => ({ ...packet, tracked: false }),
    () => ({ ...head, protocol: 4 }),
    () => ({ ...head, protocol: 17, srcPort: 40_000, dstPort: 4789 }),
    () => (dstPort === undefined ? packet : { ...packet, srcPort: random.pick([22, 53, 80, 443, 8080]) }),
    () =>
      family === 6 ? { ...head, protocol: 58, icmpType: random.pick(neighbourTypes), icmpCode: 0 } : packet,
    () => (packet.in === undefined ? packet : translated(random, packet, own)),
  ])();
}

function translated(random: Random, packet: OraclePacket, own: readonly Address[]): OraclePacket {
  const ports = packet.dstPort === undefined ? {} : { dstPortBeforeNat: random.pick(portNumbers) };
  return { ...packet, toBeforeNat: random.pick(own), ...ports, tracked: random.chance(0.9) };
}
