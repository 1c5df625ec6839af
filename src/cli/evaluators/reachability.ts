// SPDX-License-Identifier: Apache-2.0
/**
 * Who reaches whom, for many packets: pods by the matrix, and one by one those pairs between which a node's own endpoints
 * stand.
 */
import { familyOf } from '../../lib/address.ts';
import type { KeyPath } from '../../lib/brand.ts';
import { type Decider, decidersOf } from '../../observe/decider.ts';
import { explain, type NodeView, type Opinion, type Party } from '../../observe/explain.ts';
import { type VerdictMatrix, verdictMatrix } from '../../observe/matrix.ts';
import type { MatrixProbe } from '../../observe/rule-rows.ts';
import { asEnforced, type TierView } from '../../observe/tier-view.ts';
import type { Cluster } from './cluster.ts';
import { placedParty } from './parties.ts';

/** A packet without its ends. */
export interface PacketKind extends MatrixProbe {
  readonly ipVersion: 4 | 6;
}

interface End {
  readonly party: Party;
  /** Its place in the matrices; null: it is no pod. */
  readonly row: number | null;
  readonly node: NodeView | null;
  /** Whether its node's own endpoint may look at what is forwarded. */
  readonly isPoliced: boolean;
}

export class Reachability {
  readonly #ends: readonly End[];
  readonly #packets: readonly PacketKind[];
  readonly #view: TierView;
  readonly #matrices: { readonly [F in 4 | 6]: VerdictMatrix };
  /** Where each packet stands in its family's matrix. */
  readonly #columns: readonly number[];

  /** @param names - `namespace/pod` or `host/NODE`. @throws {NotFoundError} {InvalidError} for one that is not there. */
  constructor(
    cluster: Cluster,
    names: readonly string[],
    packets: readonly PacketKind[],
    view: TierView = asEnforced,
  ) {
    this.#packets = packets;
    this.#view = view;
    const endpoints: KeyPath[] = [];
    this.#ends = names.map((name) => endOf(placedParty(cluster, name), endpoints));
    const ofFamily = (family: 4 | 6) => packets.filter(({ ipVersion }) => ipVersion === family);
    const matrix = (ipVersion: 4 | 6) =>
      verdictMatrix(cluster.state, { probes: ofFamily(ipVersion), endpoints, ipVersion, view });
    this.#matrices = { 4: matrix(4), 6: matrix(6) };
    this.#columns = packets.map((packet) => ofFamily(packet.ipVersion).indexOf(packet));
  }

  allowed(packet: number, source: number, destination: number): boolean {
    const [from, to] = [this.#ends[source], this.#ends[destination]];
    const quick = from && to ? this.#quick(packet, from, to) : null;
    if (quick) return quick.matrix.allowed(quick.column, quick.source, quick.destination);
    return this.#slow(packet, from, to)?.allowed ?? false;
  }

  deciders(packet: number, source: number, destination: number): readonly Decider[] {
    const [from, to] = [this.#ends[source], this.#ends[destination]];
    const quick = from && to ? this.#quick(packet, from, to) : null;
    if (quick) return quick.matrix.deciders(quick.column, quick.source, quick.destination);
    const opinion = this.#slow(packet, from, to);
    return opinion ? decidersOf(opinion) : [];
  }

  /** Null: what stands between them is more than the policy of two pods. */
  #quick(packet: number, from: End, to: End) {
    const isApart = from.node?.name !== to.node?.name && (from.isPoliced || to.isPoliced);
    if (isApart || from.row === null || to.row === null) return null;
    const { ipVersion = 4 } = this.#packets[packet] ?? {};
    const column = this.#columns[packet] ?? 0;
    return { matrix: this.#matrices[ipVersion], column, source: from.row, destination: to.row };
  }

  /** Null: one of them has no address of the family. */
  #slow(packet: number, from: End | undefined, to: End | undefined): Opinion | null {
    const { port, ...head } = this.#packets[packet] ?? { ipVersion: 4, protocol: 0 };
    if (!from || !to || ![from, to].every(({ party }) => hasFamily(party, head.ipVersion))) return null;
    const probe = port === undefined ? head : { ...head, dstPort: port };
    const explanation = explain(from.party, to.party, probe);
    return this.#view === asEnforced ? explanation : (explanation.pending ?? explanation);
  }
}

function endOf(party: Party, endpoints: KeyPath[]): End {
  const node = party.kind === 'address' ? null : (party.node ?? null);
  const row = party.kind === 'endpoint' ? endpoints.push(party.id) - 1 : null;
  return { party, row, node, isPoliced: node !== null && polices(node) };
}

function polices({ state, uplink }: NodeView): boolean {
  const host = uplink === null ? undefined : state.hostEndpoints.get(uplink);
  return host !== undefined && host.forward.length + host.untracked.length + host.preDnat.length > 0;
}

function hasFamily(party: Party, family: 4 | 6): boolean {
  if (party.kind === 'address') return familyOf(party.address) === family;
  const addresses =
    party.kind === 'host' ? party.node.addresses : (party.state.endpoints.get(party.id)?.addresses ?? []);
  return addresses.some((address) => familyOf(address) === family);
}
