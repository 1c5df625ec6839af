// SPDX-License-Identifier: Apache-2.0
import type { IpFamily, PeerMatch, ResolvedRule, RuleOrigin } from '../contract/dataplane.ts';
import type { Address, Cidr, IpSetId } from '../lib/brand.ts';
import { inRanges } from '../lib/ports.ts';
import { hasPorts } from '../lib/protocol.ts';
import { and, andNot, type BitRow, isEmpty, or, rowWhere } from './bit-row.ts';
import type { DataplaneState } from './dataplane-state.ts';
import { type Mask, NetLookup, rememberedMask } from './net-lookup.ts';
import { headMatches, type PacketHead } from './packet-match.ts';

/** What all packets of one column of the matrix have in common. */
export interface MatrixProbe {
  readonly protocol: number;
  /** Destination port of TCP, UDP and SCTP. */
  readonly port?: number;
  readonly icmpType?: number;
  readonly icmpCode?: number;
}

/** A rule that some packets of the probe may match: those from a bit of `src` to a bit of `dst`. */
export interface RowRule {
  readonly action: 'allow' | 'deny' | 'pass';
  /** From 0, among all rules of the list. */
  readonly index: number;
  readonly origin: RuleOrigin | undefined;
  readonly src: BitRow;
  readonly dst: BitRow;
}

/** Answers each condition of a rule for all addresses at once, and each only once. */
export class RuleRows {
  readonly #state: DataplaneState;
  readonly #family: IpFamily;
  /** Null: the endpoint has none of the family, and no condition holds or fails for it that counts. */
  readonly #addresses: readonly (Address | null)[];
  readonly #mask: Mask = rememberedMask();
  readonly #bySet = new Map<IpSetId, BitRow>();
  readonly #byNet = new Map<Cidr, BitRow>();
  readonly #byPort = new Map<string, BitRow>();
  readonly #byPeer = new Map<PeerMatch, BitRow>();

  constructor(state: DataplaneState, family: IpFamily, addresses: readonly (Address | null)[]) {
    this.#state = state;
    this.#family = family;
    this.#addresses = addresses;
  }

  /** The rules that can match a packet of the probe, in order; what only logs decides nothing and is left out. */
  forProbe(rules: readonly ResolvedRule[], probe: MatrixProbe): RowRule[] {
    const rows: RowRule[] = [];
    for (const [index, rule] of rules.entries()) {
      if (rule.action === 'log' || !this.#headMatches(rule, probe)) continue;
      const src = this.#ends(rule.src, probe.protocol, undefined);
      const dst = this.#ends(rule.dst, probe.protocol, probe.port);
      if (!isEmpty(src) && !isEmpty(dst))
        rows.push({ action: rule.action, index, origin: rule.origin, src, dst });
    }
    return rows;
  }

  #headMatches(rule: ResolvedRule, { protocol, icmpType, icmpCode }: MatrixProbe): boolean {
    const packet: PacketHead = {
      ipVersion: this.#family,
      protocol,
      ...(icmpType !== undefined && { icmpType }),
      ...(icmpCode !== undefined && { icmpCode }),
    };
    return headMatches(rule, packet);
  }

  #ends(peer: PeerMatch, protocol: number, port: number | undefined): BitRow {
    const addresses = this.#addressRow(peer);
    const isPlain = peer.ports.length + peer.portSets.length === 0;
    if (port === undefined || !hasPorts(protocol)) return isPlain ? addresses : this.#none();
    if (isPlain && peer.notPorts.length + peer.notPortSets.length === 0) return addresses;
    const row = addresses.slice();
    if (!isPlain && !inRanges(port, peer.ports)) and(row, this.#portRow(peer.portSets, protocol, port));
    if (inRanges(port, peer.notPorts)) return this.#none();
    andNot(row, this.#portRow(peer.notPortSets, protocol, port));
    return row;
  }

  #addressRow(peer: PeerMatch): BitRow {
    const known = this.#byPeer.get(peer);
    if (known) return known;
    const row = this.#where((address) => address !== null);
    if (peer.nets.length > 0) and(row, this.#netsRow(peer.nets));
    andNot(row, this.#netsRow(peer.notNets));
    for (const id of peer.sets) and(row, this.#setRow(id));
    for (const id of peer.notSets) andNot(row, this.#setRow(id));
    this.#byPeer.set(peer, row);
    return row;
  }

  #netsRow(nets: readonly Cidr[]): BitRow {
    const row = this.#none();
    for (const net of nets) or(row, this.#netRow(net));
    return row;
  }

  #netRow(net: Cidr): BitRow {
    const lookup = new NetLookup([net]);
    return remember(this.#byNet, net, () => this.#where((it) => it !== null && lookup.has(it, this.#mask)));
  }

  #setRow(id: IpSetId): BitRow {
    const set = this.#state.ipSet(id);
    return remember(this.#bySet, id, () =>
      this.#where((it) => it !== null && set.hasAddress(it, this.#mask)),
    );
  }

  #portRow(ids: readonly IpSetId[], protocol: number, port: number): BitRow {
    const row = this.#none();
    for (const id of ids) {
      const set = this.#state.ipSet(id);
      const make = () => this.#where((it) => it !== null && set.hasPort(it, protocol, port));
      or(row, remember(this.#byPort, `${id} ${protocol} ${port}`, make));
    }
    return row;
  }

  #none(): BitRow {
    return this.#where(() => false);
  }

  #where(holds: (address: Address | null) => boolean): BitRow {
    return rowWhere(this.#addresses.length, (index) => holds(this.#addresses[index] ?? null));
  }
}

function remember<K>(rows: Map<K, BitRow>, key: K, make: () => BitRow): BitRow {
  const row = rows.get(key) ?? make();
  rows.set(key, row);
  return row;
}
