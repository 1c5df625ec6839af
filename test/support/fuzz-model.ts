// SPDX-License-Identifier: Apache-2.0
/**
 * What may pass a hook where policy allows one destination port, or none: said of a frame as frame-reader.ts reads it, and of what
 * passed before it. `why` names what makes it so; null: it must not pass.
 */
import { familyOf } from '../../src/lib/address.ts';
import type { Address } from '../../src/lib/brand.ts';
import { protocolNumbers } from '../../src/lib/protocol.ts';
import { type Reading, type ReadPacket, readQuoted } from './frame-reader.ts';
import type { QuotedFlow } from './fuzz-frames.ts';

/** `led` and `through`: what the host did not send itself, but passes on. */
export type FuzzHook =
  | 'from-workload'
  | 'to-workload'
  | 'led-to-workload'
  | 'from-network'
  | 'to-network'
  | 'through-to-network';

export interface FuzzPlaces {
  /** The workload's that sends. */
  readonly sender: readonly Address[];
  /** Of all workloads here. */
  readonly workloads: readonly Address[];
  readonly own: readonly Address[];
}

/**
 * What no policy is asked about. ARP for its own address and neighbour discovery a workload needs to speak with its node at all;
 * what is not IP from or to the network is the host's own affair, and no workload's; what the host sends to a workload is not policed.
 */
export type Unjudged = 'own ARP' | 'neighbour discovery' | 'not IP, of the network' | "the host's own";

const { TCP, UDP, SCTP } = protocolNumbers;
const portProtocols: readonly number[] = [TCP, UDP, SCTP];

interface FirstPart {
  readonly protocol: number;
  readonly ports: readonly [src: number, dst: number];
  /** Where it ends: no later part may begin before. */
  readonly to: number;
}

export class FuzzModel {
  readonly #places: FuzzPlaces;
  readonly #allowedPort: number | null;
  readonly #flows = new Map<string, QuotedFlow>();
  readonly #firstParts = new Map<string, FirstPart>();

  constructor(places: FuzzPlaces, allowedPort: number | null) {
    this.#places = places;
    this.#allowedPort = allowedPort;
  }

  /** As the data plane does it: whatever becomes of the first part, later ones belong to it. */
  remember(reading: Reading): void {
    if (reading.kind !== 'packet' || !reading.fragment || reading.part !== 'first') return;
    const { protocol, ports = [0, 0] as const, fragment } = reading;
    this.#firstParts.set(datagramOf(reading), { protocol, ports, to: fragment.to });
  }

  /** It passed by policy: its flow is known from now on. */
  passed(reading: Reading): void {
    const flow = reading.kind === 'packet' && this.#flowOf(reading);
    if (flow) this.#flows.set(flowText(flow), flow);
  }

  flows(): readonly QuotedFlow[] {
    return [...this.#flows.values()];
  }

  why(hook: FuzzHook, reading: Reading): 'policy' | 'known flow' | 'error about a flow' | Unjudged | null {
    switch (reading.kind) {
      case 'invalid':
        return null;
      case 'not-ip':
        return hook.endsWith('network') ? 'not IP, of the network' : null;
      case 'arp':
        return this.#whyArp(hook, reading);
      case 'packet':
        return this.#whyPacket(hook, reading);
    }
  }

  /** Another node sends on what belongs to a flow that is known here, or to a service: there is none. */
  whyTunnelled(reading: Reading): 'known flow' | 'error about a flow' | null {
    if (reading.kind !== 'packet') return null;
    const flow = this.#flowOf(reading);
    if (flow && this.#flows.has(flowText(flow))) return 'known flow';
    if (this.#isErrorAboutFlow('from-network', reading)) return 'error about a flow';
    return this.#isAnswer('from-network', reading) ? 'known flow' : null;
  }

  #whyArp(hook: FuzzHook, { isOwn }: Extract<Reading, { kind: 'arp' }>): Unjudged | null {
    if (hook !== 'from-workload')
      return hook.endsWith('network') ? 'not IP, of the network' : "the host's own";
    return this.#places.sender.some((each) => isOwn(each)) ? 'own ARP' : null;
  }

  #whyPacket(hook: FuzzHook, packet: ReadPacket) {
    const isMartian = hook === 'from-network' && this.#isMartian(packet.src);
    if (!isMartian && this.#isDiscovery(hook, packet)) return 'neighbour discovery';
    if (hook === 'from-workload' && !this.#places.sender.includes(packet.src)) return null;
    if (hook === 'to-workload') return "the host's own";
    if (this.#isErrorAboutFlow(hook, packet)) return 'error about a flow';
    if (isMartian) return null;
    if (this.#isAnswer(hook, packet)) return 'known flow';
    if (hook === 'from-workload' && this.#places.own.includes(packet.dst)) return null; // endpointToHost: drop
    return this.#allowedPort !== null && this.#flowOf(packet)?.dstPort === this.#allowedPort
      ? 'policy'
      : null;
  }

  /** Ports as its datagram's first part had them, which no later part may overlap. */
  #flowOf(packet: ReadPacket): QuotedFlow | null {
    const { src, dst, fragment } = packet;
    const first = packet.part === 'later' ? this.#firstParts.get(datagramOf(packet)) : packet;
    if (!first?.ports || !portProtocols.includes(first.protocol)) return null;
    if ('to' in first && fragment && fragment.from < first.to) return null;
    return { src, dst, protocol: first.protocol, srcPort: first.ports[0], dstPort: first.ports[1] };
  }

  /** From where the flow went to, and from nowhere else. */
  #isAnswer(hook: FuzzHook, packet: ReadPacket): boolean {
    const flow = this.#flowOf(packet);
    const isFromThere = hook === 'from-network' ? this.#isBeyond(packet.src) : true;
    return flow !== null && isFromThere && this.#flows.has(flowText(turned(flow)));
  }

  /** RFC 4861, RFC 3810, RFC 6980: whole packets, not of a router, on the link or for the node. */
  #isDiscovery(hook: FuzzHook, { family, icmp, part, src, dst }: ReadPacket): boolean {
    if (family !== 6 || !icmp || part !== 'whole') return false;
    const isType = (icmp.type >= 130 && icmp.type <= 136) || icmp.type === 143;
    if (hook === 'led-to-workload' || hook === 'through-to-network') return false;
    if (hook !== 'from-workload') return isType;
    const isOwnLink = src === '::' || isLinkLocal(src) || this.#places.sender.includes(src);
    const staysHere = src === '::' || isLinkLocal(src) || this.#isHere(dst);
    return isType && icmp.type !== 134 && isOwnLink && staysHere;
  }

  #isHere(address: Address): boolean {
    return this.#places.own.includes(address) || isLinkLocal(address) || address.startsWith('ff');
  }

  /** RFC 1812 section 5.3.7: nobody beyond has these. */
  #isMartian(src: Address): boolean {
    const isHere = this.#places.own.includes(src) || this.#places.workloads.includes(src);
    return isHere || /^(127|22[4-9]|23\d)\.|^255(\.255){3}$|^ff|^::1$/.test(src);
  }

  #isBeyond(address: Address): boolean {
    return !this.#places.own.includes(address) && !this.#places.workloads.includes(address);
  }

  /** To who sent what it is about, from where that went to; the host itself may report on any flow that it carries. */
  #isErrorAboutFlow(hook: FuzzHook, packet: ReadPacket): boolean {
    const { family, icmp, dst } = packet;
    const isError =
      icmp && (family === 4 ? [3, 4, 5, 11, 12].includes(icmp.type) : icmp.type >= 1 && icmp.type <= 4);
    const quoted = isError ? readQuoted(packet) : null;
    if (!quoted || quoted.src !== dst) return false;
    const [srcPort = 0, dstPort = 0] = quoted.ports;
    const flow = { src: quoted.src, dst: quoted.dst, protocol: quoted.protocol, srcPort, dstPort };
    if (this.#flows.has(flowText(turned(flow)))) return true;
    if (!this.#flows.has(flowText(flow))) return false;
    if (hook === 'from-workload') return this.#places.sender.includes(quoted.dst);
    return hook === 'from-network' ? this.#isBeyond(quoted.dst) : true;
  }
}

/** Who puts IPv6 fragments together asks the first one alone for the protocol: RFC 8200 section 4.5. */
function datagramOf({ family, src, dst, protocol, fragment }: ReadPacket): string {
  return `${src} ${dst} ${family === 4 ? protocol : 'any'} ${fragment?.id}`;
}

function flowText({ src, dst, protocol, srcPort, dstPort }: QuotedFlow): string {
  return `${protocol} ${src} ${srcPort} ${dst} ${dstPort}`;
}

function turned({ src, dst, srcPort, dstPort, protocol }: QuotedFlow): QuotedFlow {
  return { src: dst, dst: src, srcPort: dstPort, dstPort: srcPort, protocol };
}

function isLinkLocal(address: Address): boolean {
  return familyOf(address) === 6 && /^fe[89ab]/.test(address);
}
