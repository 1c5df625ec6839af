// SPDX-License-Identifier: Apache-2.0
import type { FlowLogLine, FlowRecord } from '../../src/contract/flow.ts';
import { familyOf, parseAddress } from '../../src/lib/address.ts';
import type { KeyPath } from '../../src/lib/brand.ts';

export interface FlowWish extends Partial<Pick<FlowRecord, 'timeMs' | 'length' | 'protocol' | 'hook'>> {
  readonly src?: string;
  readonly srcPort?: number;
  readonly dst?: string;
  readonly dstPort?: number;
  readonly translatedDst?: string;
  readonly verdict?: FlowRecord['verdict'];
  readonly reason?: FlowRecord['reason'];
  readonly service?: string;
  readonly rule?: string;
  readonly icmp?: FlowRecord['icmp'];
  readonly logs?: readonly FlowLogLine[];
}

/** A connection from pod shop/web to 10.0.0.2:80, but for what is wished. */
export function flowRecord(wish: FlowWish): FlowRecord {
  const { timeMs = 0, length = 60, protocol = 6, hook = 'from-workload', dstPort = 80 } = wish;
  const web = { id: 'WorkloadEndpoint/shop/web' as KeyPath, name: 'shop/web' };
  const translated =
    wish.translatedDst === undefined ? null : { address: parseAddress(wish.translatedDst), port: dstPort };
  const src = parseAddress(wish.src ?? '10.0.0.1');
  return {
    timeMs,
    family: familyOf(src),
    protocol,
    src: { address: src, port: wish.srcPort ?? 40_000, translated: null, endpoint: web },
    dst: { address: parseAddress(wish.dst ?? '10.0.0.2'), port: dstPort, translated, endpoint: null },
    icmp: wish.icmp ?? null,
    length,
    hook,
    verdict: wish.verdict ?? 'allow',
    reason: wish.reason ?? null,
    service: wish.service ?? null,
    trace: [{ endpoint: web, rule: wish.rule ?? 'NetworkPolicy/shop/web egress rule 0' }],
    logs: wish.logs ?? [],
  };
}
