// SPDX-License-Identifier: Apache-2.0
/** Which pairs of a lab's Pods are probed, on which port, and what came of it. */
import { type Family, familyOf, tryParseAddress } from '../lib/address.ts';
import type { Address } from '../lib/brand.ts';
import { InvalidError, NotFoundError } from '../lib/errors.ts';
import type { LabLayout } from './layout.ts';
import type { PodView } from './pod-view.ts';
import { type ProbeProtocol, probeAll } from './prober.ts';

export interface PairOptions {
  /** `namespace/pod`; absent: every Pod. */
  readonly from?: string;
  /** `namespace/pod`, or any address. */
  readonly to?: string;
  /** Absent: the destination's first port of the protocol, else 80. */
  readonly port?: number;
  readonly protocol: ProbeProtocol;
  /** Absent: that of the destination's first address. */
  readonly ipVersion?: Family;
  readonly timeoutMs: number;
}

/** The stable JSON of `muslin probe -o json`. */
export interface PairResult {
  readonly from: string;
  readonly to: string;
  readonly address: Address;
  readonly port: number | null;
  readonly protocol: ProbeProtocol;
  readonly allowed: boolean;
  readonly milliseconds: number | null;
  readonly note: string | null;
}

export interface Pair {
  readonly from: PodView;
  readonly to: string;
  readonly address: Address;
  readonly port: number;
}

const usualPort = 80;

/** @throws {NotFoundError} for a Pod that does not run. @throws {InvalidError} */
export async function probePairs(
  layout: LabLayout,
  pods: readonly PodView[],
  options: PairOptions,
): Promise<readonly PairResult[]> {
  const pairs = pairsOf(pods, options);
  const { protocol, timeoutMs } = options;
  const probes = pairs.map(({ from, address, port }) => {
    return {
      netns: layout.podNetns(from.namespace, from.name),
      address,
      port: protocol === 'ICMP' ? 0 : port,
      protocol,
    };
  });
  const results = await probeAll(probes, { timeoutMs });
  return pairs.map(({ from, to, address, port }, i) => {
    const { allowed = false, milliseconds = null, note = null } = results[i] ?? {};
    const shownPort = protocol === 'ICMP' ? null : port;
    return { from: nameOf(from), to, address, port: shownPort, protocol, allowed, milliseconds, note };
  });
}

/** @throws {NotFoundError} @throws {InvalidError} */
export function pairsOf(pods: readonly PodView[], options: PairOptions): readonly Pair[] {
  const sources = options.from === undefined ? pods : [podNamed(pods, options.from)];
  const pairs = sources.flatMap((from) => destinationsOf(pods, from, options).flatMap((pair) => pair ?? []));
  if (pairs.length === 0 && pods.length > 1) {
    const family = options.ipVersion === undefined ? 'of one IP version' : `of IPv${options.ipVersion}`;
    throw new NotFoundError(`nothing to probe: no two pods asked for have addresses ${family}`);
  }
  return pairs;
}

function destinationsOf(
  pods: readonly PodView[],
  from: PodView,
  options: PairOptions,
): readonly (Pair | null)[] {
  const address = tryParseAddress(options.to ?? '');
  if (address) return [{ from, to: address, address, port: options.port ?? usualPort }];
  const targets = options.to === undefined ? pods : [podNamed(pods, options.to)];
  const itselfAskedFor = options.from !== undefined && options.to !== undefined;
  return targets.filter((to) => to !== from || itselfAskedFor).map((to) => pairOf(from, to, options));
}

/** Null when the two share no address of the family asked for. */
function pairOf(from: PodView, to: PodView, options: PairOptions): Pair | null {
  const families = new Set(from.addresses.map(familyOf));
  const wanted = options.ipVersion;
  const address = to.addresses.find(
    (each) => families.has(familyOf(each)) && (wanted === undefined || familyOf(each) === wanted),
  );
  if (!address) return null;
  const served = to.ports.find((port) => port.protocol === options.protocol)?.port;
  return { from, to: nameOf(to), address, port: options.port ?? served ?? usualPort };
}

/** @throws {NotFoundError} @throws {InvalidError} */
export function podNamed(pods: readonly PodView[], text: string): PodView {
  const found = pods.find((pod) => nameOf(pod) === text);
  if (found) return found;
  if (!/^[^/]+\/[^/]+$/.test(text))
    throw new InvalidError(`pod: got ${JSON.stringify(text)}, want namespace/name`);
  throw new NotFoundError(`no pod ${text} runs in this lab; see: muslin get pods -A`);
}

export function nameOf(pod: Pick<PodView, 'namespace' | 'name'>): string {
  return `${pod.namespace}/${pod.name}`;
}
