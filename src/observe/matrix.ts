// SPDX-License-Identifier: Apache-2.0
/**
 * The verdicts of all pairs of endpoints at once: what `evaluate` says of each, but many peers to a machine word.
 *
 * For an endpoint and a direction the tiers are walked once; a row of bits holds the peers that are still undecided, and a
 * rule moves those that it matches out of it.
 */
import type { Direction, IpFamily, ResolvedEndpoint } from '../contract/dataplane.ts';
import type { Address, KeyPath } from '../lib/brand.ts';
import { assertNever, NotFoundError } from '../lib/errors.ts';
import { hasPorts, protocolName } from '../lib/protocol.ts';
import { type BitRow, emptyRow, hasBit, move, or, rowWhere } from './bit-row.ts';
import { addressOfFamily, type DataplaneState } from './dataplane-state.ts';
import { type MatrixProbe, type RowRule, RuleRows } from './rule-rows.ts';

export interface VerdictMatrix {
  /** In the order of the indexes. */
  readonly endpoints: readonly KeyPath[];
  readonly probes: readonly MatrixProbe[];
  /**
   * Whether the source may open the flow and the destination accepts it. An endpoint always reaches itself, for such
   * packets stay inside it. Without an address of the family it reaches no other.
   */
  allowed(probeIndex: number, sourceIndex: number, destinationIndex: number): boolean;
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
}

/**
 * @param state - must hold every endpoint as its own: compile for one node that has them all.
 * @throws {NotFoundError} when the state lacks one of the endpoints.
 * @throws {InvalidError} when a rule names an IP set, or an endpoint a policy, that was not sent.
 */
export function verdictMatrix(state: DataplaneState, options: MatrixOptions): VerdictMatrix {
  const ids = options.endpoints ?? [...state.endpoints.keys()].sort();
  const endpoints = ids.map((id) => endpointOf(state, id));
  const addresses = endpoints.map((it) => addressOfFamily(it.addresses, options.ipVersion ?? 4) ?? null);
  const rows = new RuleRows(state, options.ipVersion ?? 4, addresses);
  const tables = options.probes.map((probe) => new ProbeTable(state, rows, probe, endpoints, addresses));
  return {
    endpoints: ids,
    probes: options.probes,
    allowed: (probe, source, destination) => tables[probe]?.allowed(source, destination) ?? false,
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

  constructor(
    state: DataplaneState,
    rows: RuleRows,
    probe: MatrixProbe,
    endpoints: readonly ResolvedEndpoint[],
    addresses: readonly (Address | null)[],
  ) {
    const walker = new Walker(state, rows, probe, endpoints.length);
    const walk = (direction: Direction) =>
      endpoints.map((endpoint, i) =>
        endpoint.adminUp && addresses[i]
          ? walker.allowedPeers(endpoint, i, direction)
          : emptyRow(endpoints.length),
      );
    this.#egress = walk('egress');
    this.#ingress = walk('ingress');
  }

  allowed(source: number, destination: number): boolean {
    if (source === destination) return true;
    const [out, back] = [this.#egress[source], this.#ingress[destination]];
    return out !== undefined && back !== undefined && hasBit(out, destination) && hasBit(back, source);
  }
}

/** Walks tiers and profiles of one endpoint after the other; rules are prepared once for the probe. */
class Walker {
  readonly #state: DataplaneState;
  readonly #rows: RuleRows;
  readonly #probe: MatrixProbe;
  readonly #count: number;
  readonly #rules = new Map<string, readonly RowRule[]>();

  constructor(state: DataplaneState, rows: RuleRows, probe: MatrixProbe, count: number) {
    this.#state = state;
    this.#rows = rows;
    this.#probe = probe;
    this.#count = count;
  }

  /** The peers that the endpoint may send to (egress) or hear from (ingress). */
  allowedPeers(endpoint: ResolvedEndpoint, self: number, direction: Direction): BitRow {
    const allowed = emptyRow(this.#count);
    let undecided = rowWhere(this.#count, () => true);
    for (const tier of endpoint.tiers) {
      if (tier[direction].length === 0) continue;
      const passed = emptyRow(this.#count);
      let isOpen = true;
      for (const id of tier[direction]) {
        isOpen = this.#walk(this.#policyRules(id, direction), self, direction, undecided, allowed, passed);
        if (!isOpen) break;
      }
      if (isOpen && tier.defaultAction === 'pass') or(passed, undecided);
      undecided = passed;
    }
    for (const name of endpoint.profiles) {
      if (this.#state.profile(name).missing) return allowed;
      const passed = emptyRow(this.#count);
      this.#walk(this.#profileRules(name, direction), self, direction, undecided, allowed, passed);
      or(undecided, passed);
    }
    return allowed;
  }

  /** @returns whether any peer is left undecided. */
  #walk(
    rules: readonly RowRule[],
    self: number,
    direction: Direction,
    undecided: BitRow,
    allowed: BitRow,
    passed: BitRow,
  ): boolean {
    for (const rule of rules) {
      const [own, peers] = direction === 'ingress' ? [rule.dst, rule.src] : [rule.src, rule.dst];
      if (!hasBit(own, self)) continue;
      if (!move(undecided, peers, destinationOf(rule.action, allowed, passed))) return false;
    }
    return true;
  }

  #policyRules(id: KeyPath, direction: Direction): readonly RowRule[] {
    return this.#prepared(`policy ${direction} ${id}`, () => this.#state.policy(id)[direction]);
  }

  #profileRules(name: string, direction: Direction): readonly RowRule[] {
    return this.#prepared(`profile ${direction} ${name}`, () => this.#state.profile(name)[direction]);
  }

  #prepared(key: string, rules: () => Parameters<RuleRows['forProbe']>[0]): readonly RowRule[] {
    const known = this.#rules.get(key);
    if (known) return known;
    const prepared = this.#rows.forProbe(rules(), this.#probe);
    this.#rules.set(key, prepared);
    return prepared;
  }
}

function destinationOf(action: RowRule['action'], allowed: BitRow, passed: BitRow): BitRow | null {
  switch (action) {
    case 'allow':
      return allowed;
    case 'pass':
      return passed;
    case 'deny':
      return null;
    default:
      return assertNever(action);
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
