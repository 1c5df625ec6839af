// SPDX-License-Identifier: Apache-2.0
/** The verdicts of all pairs of some ends, for one packet; a port's name means to each destination its own. */
import type { Decider } from '../../observe/decider.ts';
import { decidersOf } from '../../observe/decider.ts';
import type { Opinion } from '../../observe/explain.ts';
import { asEnforced, type TierView } from '../../observe/tier-view.ts';
import type { Cluster } from './cluster.ts';
import { explainBetween, familyOfAll, matrixProbe } from './policy-eval.ts';
import { packetSpec } from './probe-spec.ts';
import { Reachability } from './reachability.ts';

export interface PairVerdicts {
  /** Null where the packet has none, or to each destination its own. */
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
  return isNamed ? byPair(cluster, names, packet, view) : byReachability(cluster, names, packet, view);
}

function byReachability(
  cluster: Cluster,
  names: readonly string[],
  { port, protocol, ipVersion = familyOfAll(cluster.state) }: PairPacket,
  view: TierView,
): PairVerdicts {
  const packet = { ...matrixProbe(packetSpec(protocol ?? 'TCP', port)), ipVersion };
  const reach = new Reachability(cluster, names, [packet], view);
  return {
    port: packet.port ?? null,
    allowed: (source, destination) => reach.allowed(0, source, destination),
    deciders: (source, destination) => reach.deciders(0, source, destination),
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
