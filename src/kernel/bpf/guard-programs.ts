// SPDX-License-Identifier: Apache-2.0
/**
 * The programs that guard a workload's link, generated with the endpoint's constants.
 *
 * Invariants: what cannot be read is dropped. Accepting is TCX_NEXT: other programs and the stack still decide.
 *             A program's name holds a hash of its instructions, so that a fresh process can tell what runs.
 */
import { createHash } from 'node:crypto';
import { addressBytes, familyOf } from '../../lib/address.ts';
import type { Address } from '../../lib/brand.ts';
import { Assembler } from './asm.ts';
import type { Program } from './load.ts';

const TCX_NEXT = -1;
const TCX_DROP = 2;
const HELPER_SKB_LOAD_BYTES = 26;

/** Offsets in struct __sk_buff, include/uapi/linux/bpf.h. */
const skb = { mark: 8, protocol: 16, vlanPresent: 20 } as const;
/** Ethertypes as skb->protocol holds them: network order read by a little-endian host. */
const etherTypes = { ipv4: 0x0008, arp: 0x0608, ipv6: 0xdd86 } as const;
/** Offsets from the start of the frame. */
const ethernet = { source: 6, payload: 14 } as const;
const arp = { senderMac: ethernet.payload + 8, senderAddress: ethernet.payload + 14 } as const; // RFC 826
const ipv4 = { source: ethernet.payload + 12 } as const; // RFC 791 section 3.1
const ipv6 = {
  nextHeader: ethernet.payload + 6,
  source: ethernet.payload + 8,
  icmpType: ethernet.payload + 40,
} as const; // RFC 8200

const ICMPV6 = 58;
const ROUTER_ADVERTISEMENT = 134;
const NEIGHBOUR_SOLICITATION = 135;
const NEIGHBOUR_ADVERTISEMENT = 136;
const REDIRECT = 137;

/** Stack slots below r10. */
const slot = -16;
const secondSlot = -8;

/** Drops all. */
export function closedProgram(): Program {
  return { name: closedName, instructions: new Assembler().mov('r0', TCX_DROP).exit().assemble() };
}
export const closedName = 'muslin_closed';

/** What a workload sends: only from its own addresses; neighbour discovery, but no router's messages. */
export function fromWorkloadProgram(addresses: readonly Address[]): Program {
  const asm = new Assembler().mov('r6', 'r1');
  checkFrame(asm);
  arpFromWorkload(asm, addressWords(addresses, 4));
  ipv4FromWorkload(asm, addressWords(addresses, 4));
  ipv6FromWorkload(asm, addressWords(addresses, 6));
  return finish('mi_', asm);
}

/** What a workload is sent: ARP, the host's own neighbour discovery, and what policy marked. @param markBit - one bit. */
export function toWorkloadProgram(markBit: number): Program {
  const asm = new Assembler().mov('r6', 'r1');
  asm.load('u32', 'r7', 'r6', skb.vlanPresent).jumpIf32('r7', '!=', 0, 'drop');
  asm.load('u32', 'r7', 'r6', skb.protocol).jumpIf32('r7', '==', etherTypes.arp, 'accept');
  asm.load('u32', 'r8', 'r6', skb.mark);
  asm.jumpIf32('r7', '==', etherTypes.ipv4, 'marked').jumpIf32('r7', '!=', etherTypes.ipv6, 'drop');
  asm.jumpIf32('r8', '&', markBit, 'accept');
  hostNeighbourDiscovery(asm);
  asm.label('marked').jumpIf32('r8', '&', markBit, 'accept').jump('drop');
  return finish('me_', asm);
}

/** A frame without VLAN tag (the stack has moved it into the skb) whose source is one station. r7: its protocol. */
function checkFrame(asm: Assembler): void {
  asm.load('u32', 'r7', 'r6', skb.vlanPresent).jumpIf32('r7', '!=', 0, 'drop');
  loadBytes(asm, ethernet.source, 6, slot);
  asm.load('u8', 'r7', 'r10', slot).jumpIf32('r7', '&', 1, 'drop'); // a group address, IEEE 802.3 section 3.2.3
  asm.load('u32', 'r7', 'r6', skb.protocol);
  asm.jumpIf32('r7', '==', etherTypes.ipv4, 'ipv4').jumpIf32('r7', '==', etherTypes.ipv6, 'ipv6');
  asm.jumpIf32('r7', '!=', etherTypes.arp, 'drop');
}

/** Ethernet and IPv4 only, sent for itself: sender MAC as in the frame, sender address its own or 0.0.0.0 (RFC 5227). */
function arpFromWorkload(asm: Assembler, own: readonly (readonly number[])[]): void {
  loadBytes(asm, arp.senderMac, 6, secondSlot);
  asm.load('u32', 'r7', 'r10', slot).load('u32', 'r8', 'r10', secondSlot).jumpIf32('r7', '!=', 'r8', 'drop');
  asm
    .load('u16', 'r7', 'r10', slot + 4)
    .load('u16', 'r8', 'r10', secondSlot + 4)
    .jumpIf32('r7', '!=', 'r8', 'drop');
  loadBytes(asm, ethernet.payload, 8, slot);
  asm.load('u32', 'r7', 'r10', slot).jumpIf32('r7', '!=', word(0x00, 0x01, 0x08, 0x00), 'drop'); // Ethernet, IPv4
  asm.load('u16', 'r7', 'r10', slot + 4).jumpIf32('r7', '!=', 0x0406, 'drop'); // lengths 6 and 4
  loadBytes(asm, arp.senderAddress, 4, slot);
  asm.load('u32', 'r7', 'r10', slot).jumpIf32('r7', '==', 0, 'accept');
  for (const [address = 0] of own) asm.jumpIf32('r7', '==', address, 'accept');
  asm.jump('drop');
}

function ipv4FromWorkload(asm: Assembler, own: readonly (readonly number[])[]): void {
  asm.label('ipv4');
  loadBytes(asm, ipv4.source, 4, slot);
  asm.load('u32', 'r7', 'r10', slot);
  for (const [address = 0] of own) asm.jumpIf32('r7', '==', address, 'accept');
  asm.jump('drop');
}

/** fe80::/10 and :: only for ICMPv6 (RFC 4861, RFC 4862); from no source a router's advertisement or a redirect. */
function ipv6FromWorkload(asm: Assembler, own: readonly (readonly number[])[]): void {
  asm.label('ipv6');
  loadBytes(asm, ipv6.nextHeader, 1, slot);
  asm.load('u8', 'r9', 'r10', slot).jumpIf32('r9', '!=', ICMPV6, 'ipv6 source');
  loadBytes(asm, ipv6.icmpType, 1, slot);
  asm.load('u8', 'r7', 'r10', slot);
  for (const type of [ROUTER_ADVERTISEMENT, REDIRECT]) asm.jumpIf32('r7', '==', type, 'drop');
  asm.label('ipv6 source');
  loadBytes(asm, ipv6.source, 16, slot);
  for (const [i, words] of own.entries()) matchIpv6(asm, words, `not ${i}`);
  asm.jumpIf32('r9', '!=', ICMPV6, 'drop');
  matchIpv6(asm, [0, 0, 0, 0], 'not ::');
  asm.load('u8', 'r7', 'r10', slot).jumpIf32('r7', '!=', 0xfe, 'drop');
  asm
    .load('u8', 'r7', 'r10', slot + 1)
    .alu('and', 'r7', 0xc0)
    .jumpIf32('r7', '==', 0x80, 'accept')
    .jump('drop');
}

function matchIpv6(asm: Assembler, words: readonly number[], otherwise: string): void {
  for (const [i, expected] of words.entries()) {
    asm.load('u32', 'r7', 'r10', slot + 4 * i).jumpIf32('r7', '!=', expected, otherwise);
  }
  asm.jump('accept').label(otherwise);
}

/** Hop limit 255 proves that no router passed it on (RFC 4861 section 7.1): it is the host's own, as ARP is. */
function hostNeighbourDiscovery(asm: Assembler): void {
  loadBytes(asm, ipv6.nextHeader, 2, slot);
  asm.load('u16', 'r7', 'r10', slot).jumpIf32('r7', '!=', (255 << 8) | ICMPV6, 'drop');
  loadBytes(asm, ipv6.icmpType, 1, slot);
  asm.load('u8', 'r7', 'r10', slot);
  for (const type of [NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT])
    asm.jumpIf32('r7', '==', type, 'accept');
  asm.jump('drop');
}

/** Copies from the frame, wherever its pages are; a frame that ends before is dropped. */
function loadBytes(asm: Assembler, offset: number, length: number, to: number): void {
  asm.mov('r1', 'r6').mov('r2', offset).mov('r3', 'r10').alu('add', 'r3', to).mov('r4', length);
  asm.call(HELPER_SKB_LOAD_BYTES).jumpIf('r0', '!=', 0, 'drop');
}

function finish(prefix: string, asm: Assembler): Program {
  asm.label('drop').mov('r0', TCX_DROP).exit();
  asm.label('accept').mov('r0', TCX_NEXT).exit();
  const instructions = asm.assemble();
  return {
    name: prefix + createHash('sha256').update(instructions).digest('hex').slice(0, 12),
    instructions,
  };
}

/** Sorted, so that the same addresses make the same program. Words as a little-endian load of the packet sees them. */
function addressWords(addresses: readonly Address[], family: 4 | 6): number[][] {
  const own = [...new Set(addresses)].filter((address) => familyOf(address) === family).sort();
  return own.map((address) => {
    const view = new DataView(addressBytes(address).buffer);
    return Array.from({ length: view.byteLength / 4 }, (_, i) => view.getUint32(4 * i, true));
  });
}

function word(a: number, b: number, c: number, d: number): number {
  return a | (b << 8) | (c << 16) | (d << 24);
}
