// SPDX-License-Identifier: Apache-2.0
/** Which packets a difference between two clusters can show in: the ports that anyone names, and one that nobody does. */
import type { PeerMatch, ResolvedRule } from '../../contract/dataplane.ts';
import { inRanges, maxPort, type PortRange } from '../../lib/ports.ts';
import { hasPorts, protocolNumbers, tryParseProtocol } from '../../lib/protocol.ts';
import { listAt, member, memberAt, textAt } from '../../model/json.ts';
import type { Resource } from '../../model/types.ts';
import type { Cluster } from './cluster.ts';
import type { PacketKind } from './reachability.ts';

const { TCP, UDP, SCTP, ICMP, ICMPv6 } = protocolNumbers;

/** Of TCP and UDP always, of SCTP and other protocols where a rule names them; echo requests, and types that rules name. */
export function packetsThatMatter(
  clusters: readonly Cluster[],
  resources: readonly Resource[],
): readonly PacketKind[] {
  const rules = clusters.flatMap(rulesOf);
  const named = new Set(rules.flatMap(({ protocol, notProtocol }) => [protocol ?? TCP, notProtocol ?? TCP]));
  const protocols = [...new Set([TCP, UDP, ...named])].sort((a, b) => a - b);
  const ports = new PortsNamed(rules, clusters, resources);
  const families = familiesOf(clusters);
  return families.flatMap((ipVersion) => [
    ...protocols
      .filter(hasPorts)
      .flatMap((protocol) => ports.of(protocol).map((port) => ({ ipVersion, protocol, port }))),
    ...icmpOf(rules, ipVersion),
    ...protocols
      .filter((protocol) => !hasPorts(protocol) && protocol !== ICMP && protocol !== ICMPv6)
      .map((protocol) => ({ ipVersion, protocol })),
  ]);
}

function rulesOf({ state, nodes }: Cluster): readonly ResolvedRule[] {
  const states = [state, ...(nodes.differ ? nodes.names.map((name) => nodes.view(name).state) : [])];
  const lists = states.flatMap((each) => [...each.policies.values(), ...each.profiles.values()]);
  return [...new Set(lists)].flatMap(({ ingress, egress }) => [...ingress, ...egress]);
}

function familiesOf(clusters: readonly Cluster[]): readonly (4 | 6)[] {
  const addresses = clusters
    .flatMap(({ state }) => [...state.endpoints.values()])
    .flatMap((each) => each.addresses);
  const found = new Set(addresses.map((address) => (address.includes(':') ? 6 : 4)));
  return ([4, 6] as const).filter((family) => found.has(family));
}

function icmpOf(rules: readonly ResolvedRule[], ipVersion: 4 | 6): readonly PacketKind[] {
  const protocol = ipVersion === 4 ? ICMP : ICMPv6;
  const echo = { icmpType: ipVersion === 4 ? 8 : 128, icmpCode: 0 };
  const named = rules
    .flatMap(({ icmp, notIcmp }) => [icmp, notIcmp])
    .flatMap((match) => (match ? [{ icmpType: match.type, icmpCode: match.code ?? 0 }] : []));
  const distinct = new Map([echo, ...named].map((each) => [`${each.icmpType} ${each.icmpCode}`, each]));
  return [...distinct.values()].map((each) => ({ ipVersion, protocol, ...each }));
}

/** The ends of ranges stand for what is in them. */
class PortsNamed {
  readonly #ranges = new Map<number, PortRange[]>();
  readonly #ports = new Map<number, Set<number>>();

  constructor(rules: readonly ResolvedRule[], clusters: readonly Cluster[], resources: readonly Resource[]) {
    for (const { protocol, dst } of rules)
      for (const each of protocol === undefined ? [TCP, UDP, SCTP] : [protocol]) this.#name(each, dst);
    const endpointPorts = clusters.flatMap(({ ports }) => [...ports.values()].flat());
    for (const { protocol, port } of endpointPorts) this.#add(protocol, port);
    for (const pod of resources)
      for (const { protocol, port } of containerPorts(pod)) this.#add(protocol, port);
    for (const port of resources.flatMap(slicePorts)) this.#add(port.protocol, port.port);
    for (const { state } of clusters) {
      const { failsafeInbound, failsafeOutbound } = state.config;
      const isPoliced = clusters.some(({ nodes }) => nodes.differ);
      const failsafes = isPoliced ? [...failsafeInbound, ...failsafeOutbound] : [];
      for (const { protocol, port } of failsafes) this.#add(protocol, port);
    }
  }

  of(protocol: number): readonly number[] {
    const named = this.#ports.get(protocol) ?? new Set();
    return [...named, this.#nobodys(protocol, named)].sort((a, b) => a - b);
  }

  #name(protocol: number, { ports, notPorts }: PeerMatch): void {
    for (const range of [...ports, ...notPorts]) {
      this.#add(protocol, range.first);
      this.#add(protocol, range.last);
      const ranges = this.#ranges.get(protocol);
      if (ranges) ranges.push(range);
      else this.#ranges.set(protocol, [range]);
    }
  }

  #add(protocol: number, port: number): void {
    if (port < 1) return;
    const ports = this.#ports.get(protocol) ?? new Set();
    this.#ports.set(protocol, ports.add(port));
  }

  /** In no range, or else in as few as can be. */
  #nobodys(protocol: number, named: ReadonlySet<number>): number {
    const ranges = this.#ranges.get(protocol) ?? [];
    const edges = ranges.flatMap(({ first, last }) => [first - 1, last + 1]);
    const candidates = [...[...named].flatMap((port) => [port - 1, port + 1]), ...edges, 9].filter(
      (port) => port >= 1 && port <= maxPort && !named.has(port),
    );
    const around = (port: number) => ranges.filter((range) => inRanges(port, [range])).length;
    return candidates.reduce((best, port) => (around(port) < around(best) ? port : best), candidates[0] ?? 9);
  }
}

function containerPorts(pod: Resource): { protocol: number; port: number }[] {
  if (pod.apiVersion !== 'v1' || pod.kind !== 'Pod') return [];
  const ports = listAt(memberAt(pod, 'spec'), 'containers').flatMap((each) => listAt(each, 'ports'));
  return ports.flatMap((row) => numbered(row, 'containerPort'));
}

function slicePorts(slice: Resource): { protocol: number; port: number }[] {
  return slice.kind === 'EndpointSlice' ? listAt(slice, 'ports').flatMap((row) => numbered(row, 'port')) : [];
}

function numbered(row: unknown, field: string): { protocol: number; port: number }[] {
  const port = member(row, field);
  const protocol = tryParseProtocol(textAt(row, 'protocol') || 'TCP');
  return typeof port === 'number' && protocol !== null ? [{ protocol, port }] : [];
}
