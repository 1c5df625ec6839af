// SPDX-License-Identifier: Apache-2.0
/**
 * The rows of the map `links`: for each link its kind, its endpoint and the programs of its policies.
 *
 * A workload's link has a row only while all its policies are loaded; the network's links have one always, with the host
 * endpoint's policies where one claims the link.
 */
import { familyOf } from '../../lib/address.ts';
import type { Address } from '../../lib/brand.ts';
import { type LinkStage, linkAt, linkBytes, linkKinds, linkStages, stagesPerFamily } from './layout.ts';
import { endpointId } from './names.ts';
import { Row } from './row.ts';

export interface LinkRow {
  readonly kind: keyof typeof linkKinds;
  /** Path of its workload or host endpoint; null: nobody's. */
  readonly endpoint: string | null;
  readonly policies: readonly LinkPolicy[];
  readonly own: readonly Address[];
  readonly mtu: number;
}

export interface LinkPolicy {
  readonly family: 4 | 6;
  readonly stage: LinkStage;
  /** Place in `programs`. */
  readonly index: number;
}

export function linkKey(ifIndex: number): Uint8Array {
  return new Row(4).u32(0, ifIndex).bytes;
}

export function linkRow({ kind, endpoint, policies, own, mtu }: LinkRow): Uint8Array {
  const row = new Row(linkBytes)
    .u32(linkAt.kind, linkKinds[kind])
    .u64(linkAt.endpoint, endpoint === null ? 0n : endpointId(endpoint))
    .u32(linkAt.mtu, mtu);
  for (const { family, stage, index } of policies) {
    const at = (family === 4 ? 0 : stagesPerFamily) + linkStages[stage];
    row.u32(linkAt.policy + 4 * at, index);
  }
  for (const [i, family] of ([4, 6] as const).entries()) {
    const address = own.find((each) => familyOf(each) === family && !isLinkLocal(each));
    if (address !== undefined) row.address(linkAt.own + 16 * i, address);
  }
  return row.bytes;
}

/** RFC 3927, RFC 4291 section 2.5.6: nobody beyond the link can answer to it. */
export function isLinkLocal(address: Address): boolean {
  return /^(169\.254\.|fe[89ab])/.test(address);
}
