// SPDX-License-Identifier: Apache-2.0
/**
 * The verdicts of all pairs of endpoints at once: what `evaluate` says of each, but many peers to a machine word.
 *
 * For an endpoint and a direction the tiers are walked once; a row of bits holds the peers that are still undecided, and a
 * rule moves those that it matches out of it.
 */
import type { Direction, IpFamily, ResolvedEndpoint } from '../contract/dataplane.ts';
import type { Address, KeyPath } from '../lib/brand.ts';
import { NotFoundError } from '../lib/errors.ts';
import { hasPorts, protocolName } from '../lib/protocol.ts';
import { type BitRow, emptyRow, hasBit } from './bit-row.ts';
import { addressOfFamily, type DataplaneState } from './dataplane-state.ts';
import type { Decider } from './decider.ts';
import { type RowDecision, RowWalker } from './row-walker.ts';
import { type MatrixProbe, RuleRows } from './rule-rows.ts';
import { asEnforced, type TierView } from './tier-view.ts';

export interface VerdictMatrix {
  /** In the order of the indexes. */
  readonly endpoints: readonly KeyPath[];
  readonly probes: readonly MatrixProbe[];
  /**
   * Whether the source may open the flow and the destination accepts it. An endpoint always reaches itself, for such
   * packets stay inside it. Without an address of the family it reaches no other.
   */
  allowed(probeIndex: number, sourceIndex: number, destinationIndex: number): boolean;
  /** As decidersOf(explain(...)) names them. */
  deciders(probeIndex: number, sourceIndex: number, destinationIndex: number): readonly Decider[];
}

/** `{"TCP/80": {"ns/source": {"ns/destination": true}}}`: every pair is there, allowed or not. */
export type VerdictTables = {
  readonly [probe: string]: { readonly [source: string]: { readonly [destination: string]: boolean } };
};

export interface MatrixOptions {
  readonly probes: readonly MatrixProbe[];
  /** @defaultValue all endpoints of the state, by path. */
  readonly endpoints?: readonly KeyPath[];
  /** @defaultValue 4 */
  readonly ipVersion?: IpFamily;
  /** Which lists of tiers count. @defaultValue those in force */
  readonly view?: TierView;
}

interface MatrixEnd {
  readonly id: KeyPath;
  readonly endpoint: ResolvedEndpoint;
  /** Null: it has none of the family. */
  readonly address: Address | null;
}

/**
 * @param state - must hold every endpoint as its own: compile for one node that has them all.
 * @throws {NotFoundError} when the state lacks one of the endpoints.
 * @throws {InvalidError} when a rule names an IP set, or an endpoint a policy, that was not sent.
 */
export function verdictMatrix(state: DataplaneState, options: MatrixOptions): VerdictMatrix {
  const { endpoints: ids = [...state.endpoints.keys()].sort(), ipVersion = 4, view = asEnforced } = options;
  const ends = ids.map((id): MatrixEnd => {
    const endpoint = endpointOf(state, id);
    return { id, endpoint, address: addressOfFamily(endpoint.addresses, ipVersion) ?? null };
  });
  const rows = new RuleRows(
    state,
    ipVersion,
    ends.map(({ address }) => address),
  );
  const tables = options.probes.map(
    (probe) => new ProbeTable(new RowWalker(state, rows, { ...probe, ipVersion }, ends.length, view), ends),
  );
  return {
    endpoints: ids,
    probes: options.probes,
    allowed: (probe, source, destination) => tables[probe]?.allowed(source, destination) ?? false,
    deciders: (probe, source, destination) => tables[probe]?.deciders(source, destination) ?? [],
  };
}

/** By the endpoints' own names, for people and `policy eval`. */
export function matrixTables(state: DataplaneState, matrix: VerdictMatrix): VerdictTables {
  const names = matrix.endpoints.map((id) => endpointOf(state, id).name);
  const table = (probe: number) =>
    byName(names, (source) => byName(names, (destination) => matrix.allowed(probe, source, destination)));
  return Object.fromEntries(matrix.probes.map((probe, index) => [probeName(probe), table(index)]));
}

/** `TCP/80`; `ICMP` alone where there are no ports. */
export function probeName({ protocol, port }: MatrixProbe): string {
  return port === undefined || !hasPorts(protocol)
    ? protocolName(protocol)
    : `${protocolName(protocol)}/${port}`;
}

class ProbeTable {
  readonly #egress: readonly BitRow[];
  readonly #ingress: readonly BitRow[];
  readonly #walker: RowWalker;
  readonly #ends: readonly MatrixEnd[];
  readonly #decisions = new Map<string, readonly RowDecision[]>();

  constructor(walker: RowWalker, ends: readonly MatrixEnd[]) {
    this.#walker = walker;
    this.#ends = ends;
    this.#egress = ends.map((end, i) => this.#allowed(end, i, 'egress'));
    this.#ingress = ends.map((end, i) => this.#allowed(end, i, 'ingress'));
  }

  allowed(source: number, destination: number): boolean {
    if (source === destination) return true;
    const [out, back] = [this.#egress[source], this.#ingress[destination]];
    return out !== undefined && back !== undefined && hasBit(out, destination) && hasBit(back, source);
  }

  deciders(source: number, destination: number): readonly Decider[] {
    if (source === destination) return [];
    const verdict = this.allowed(source, destination) ? 'allow' : 'deny';
    const asked = [
      this.#decider(source, 'egress', destination),
      this.#decider(destination, 'ingress', source),
    ];
    return asked.filter((decider) => decider?.verdict === verdict).filter((decider) => decider !== null);
  }

  #allowed({ endpoint, address }: MatrixEnd, self: number, direction: Direction): BitRow {
    if (!endpoint.adminUp || !address) return emptyRow(this.#ends.length);
    return this.#walker.allowedPeers(endpoint, self, direction);
  }

  #decider(self: number, direction: Direction, peer: number): Decider | null {
    const end = this.#ends[self];
    if (!end?.address) return null;
    const about = { endpoint: end.id, direction };
    if (!end.endpoint.adminUp) return { ...about, verdict: 'deny', by: { at: 'gate', reason: 'admin-down' } };
    const found = this.#decisionsOf(end.endpoint, self, direction).find(({ peers }) => hasBit(peers, peer));
    return found ? { ...about, verdict: found.verdict, by: found.by } : null;
  }

  /** Worked out when someone asks, which few do. */
  #decisionsOf(endpoint: ResolvedEndpoint, self: number, direction: Direction): readonly RowDecision[] {
    const key = `${direction} ${self}`;
    const known = this.#decisions.get(key);
    if (known) return known;
    const decisions: RowDecision[] = [];
    this.#walker.allowedPeers(endpoint, self, direction, (decision) => decisions.push(decision));
    this.#decisions.set(key, decisions);
    return decisions;
  }
}

function endpointOf(state: DataplaneState, id: KeyPath): ResolvedEndpoint {
  const endpoint = state.endpoints.get(id);
  if (!endpoint) throw new NotFoundError(`cannot evaluate endpoint ${id}: the state has none of that name`);
  return endpoint;
}

function byName<V>(names: readonly string[], value: (index: number) => V): { [name: string]: V } {
  return Object.fromEntries(names.map((name, index) => [name, value(index)]));
}
