// SPDX-License-Identifier: Apache-2.0
import { RevisionGoneError } from '../../lib/errors.ts';
import type { RangeResponse } from './api/etcd_pb.ts';
import { everything } from './layout.ts';
import type { Lineage } from './lineage.ts';
import type { Members, Request } from './members.ts';

/**
 * Asks a majority, which a member that lags behind is not, whether what we saw last is still what was there then.
 *
 * @returns the revision now.
 * @throws {HistoryReplacedError}
 */
export async function confirmHistory(
  members: Members,
  lineage: Lineage,
  what: string,
  limitMs?: number,
): Promise<bigint> {
  const ask = (range: { readonly key: Uint8Array; readonly revision?: bigint }) => {
    const request: Request<RangeResponse> = (peer, options) => peer.kv.range(range, options);
    return members.call(what, 'read', request, limitMs);
  };
  const { witness, revision: before } = lineage;
  const found = witness && (await ask(witness).catch(unlessGone));
  const { header } = found ?? (await ask({ key: Buffer.from(everything.start) }));
  const revision = lineage.accept(header, before);
  if (witness && found) lineage.confirm(witness, found.kvs[0]);
  return revision;
}

/** The witness's revision was compacted away, or there is none like it: what there is, is asked without it. */
function unlessGone(error: unknown): null {
  if (error instanceof RevisionGoneError) return null;
  throw error;
}
