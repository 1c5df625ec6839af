// SPDX-License-Identifier: Apache-2.0
/** The verdicts of all pairs of some ends, for one packet: by the matrix where no node's own endpoints can be between them. */
import { InvalidError } from '../../lib/errors.ts';
import type { Decider } from '../../observe/decider.ts';
import { decidersOf } from '../../observe/decider.ts';
import type { Opinion } from '../../observe/explain.ts';
import { verdictMatrix } from '../../observe/matrix.ts';
import { asEnforced, type TierView } from '../../observe/tier-view.ts';
import type { Cluster } from './cluster.ts';
import { explainBetween, familyOfAll, matrixProbe } from './policy-eval.ts';
import { packetSpec } from './probe-spec.ts';

export interface PairVerdicts {
  /** Null where the packet has none, or each destination its own. */
  readonly port: number | null;
  allowed(source: number, destination: number): boolean;
  deciders(source: number, destination: number): readonly Decider[];
}

/** As requests and case files give them. */
export interface PairPacket {
  readonly port?: unknown;
  readonly protocol?: unknown;
  readonly ipVersion?: 4 | 6 | undefined;
}

/**
 * @param names - `namespace/pod`; `host/NODE` too.
 * @throws {InvalidError} {NotFoundError} as `explain`.
 */
export function pairVerdicts(
  cluster: Cluster,
  names: readonly string[],
  packet: PairPacket,
  view: TierView = asEnforced,
): PairVerdicts {
  const isNamed = typeof packet.port === 'string' && /[a-z]/i.test(packet.port);
  const isPlain = !cluster.nodes.differ && !isNamed && !names.some((name) => name.startsWith('host/'));
  return isPlain ? byMatrix(cluster, names, packet, view) : byPair(cluster, names, packet, view);
}

function byMatrix(
  { state }: Cluster,
  names: readonly string[],
  { port, protocol, ipVersion = familyOfAll(state) }: PairPacket,
  view: TierView,
): PairVerdicts {
  const idByName = new Map([...state.endpoints].map(([id, { name }]) => [name, id]));
  const endpoints = names.map((name) => {
    const id = idByName.get(name);
    if (id === undefined) throw new InvalidError(`no pod ${name} with an address`);
    return id;
  });
  const probe = matrixProbe(packetSpec(protocol ?? 'TCP', port));
  const matrix = verdictMatrix(state, { probes: [probe], endpoints, ipVersion, view });
  return {
    port: probe.port ?? null,
    allowed: (source, destination) => matrix.allowed(0, source, destination),
    deciders: (source, destination) => matrix.deciders(0, source, destination),
  };
}

function byPair(
  cluster: Cluster,
  names: readonly string[],
  { port, protocol, ipVersion }: PairPacket,
  view: TierView,
): PairVerdicts {
  const known = new Map<string, Opinion>();
  const opinionOf = (source: number, destination: number): Opinion => {
    const key = `${source} ${destination}`;
    const found = known.get(key);
    if (found) return found;
    const [from, to] = [names[source], names[destination]];
    const explanation = explainBetween(cluster, { from, to, port, protocol, ipVersion });
    const opinion = view === asEnforced ? explanation : (explanation.pending ?? explanation);
    known.set(key, opinion);
    return opinion;
  };
  return {
    port: typeof port === 'number' ? port : null,
    allowed: (source, destination) => opinionOf(source, destination).allowed,
    deciders: (source, destination) => decidersOf(opinionOf(source, destination)),
  };
}
