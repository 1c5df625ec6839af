// SPDX-License-Identifier: Apache-2.0
/** Lists in pages, all at one revision, the next one on its way while one is read. */
import { RevisionGoneError } from '../../lib/errors.ts';
import type { KeyValue, RangeResponse } from './api/etcd_pb.ts';
import type { KeyRange } from './layout.ts';
import type { Lineage } from './lineage.ts';
import type { Members } from './members.ts';

/** Awaited between pages, so that a long list leaves others their turns. */
export type Take = (kvs: readonly KeyValue[]) => Promise<void>;

interface Pages {
  readonly what: string;
  readonly range: KeyRange;
  readonly isKeysOnly: boolean;
  /** 0: the present, which the first page fixes. */
  readonly revision: bigint;
}

const firstPage = 500;
const smallestPage = 16;
const largestPage = 5000;
/** Objects may be of 100 bytes or of a megabyte. */
const pageBytes = 4_000_000;
/** The server may compact what we read away while we read it. */
const mostTries = 3;

export class Reader {
  readonly #members: Members;
  readonly #lineage: Lineage;

  constructor(members: Members, lineage: Lineage) {
    this.#members = members;
    this.#lineage = lineage;
  }

  /**
   * @param restart - called before a first page: what was taken before counts no more.
   * @returns the revision of the whole.
   */
  async read(
    what: string,
    ranges: readonly KeyRange[],
    isKeysOnly: boolean,
    restart: () => void,
    take: Take,
  ): Promise<bigint> {
    for (let tries = 1; ; tries++) {
      restart();
      try {
        let revision = 0n;
        for (const range of ranges) revision = await this.#range({ what, range, isKeysOnly, revision }, take);
        return revision;
      } catch (error) {
        const isCompacted = error instanceof RevisionGoneError && /compacted/.test(error.message);
        if (!isCompacted || tries === mostTries) throw error;
      }
    }
  }

  async #range(pages: Pages, take: Take): Promise<bigint> {
    const first = await this.#page(pages, firstPage, null);
    const revision = pages.revision === 0n ? (first.header?.revision ?? 0n) : pages.revision;
    for (let page = first; ; ) {
      const last = page.kvs.at(-1);
      const next = page.more && last ? this.#page({ ...pages, revision }, sizeAfter(page), last.key) : null;
      next?.catch(() => {}); // awaited below, unless `take` fails first
      await take(page.kvs);
      if (!next) return revision;
      page = await next;
    }
  }

  async #page(pages: Pages, limit: number, after: Uint8Array | null): Promise<RangeResponse> {
    const before = this.#lineage.revision;
    const request = {
      key: after ? keyAfter(after) : Buffer.from(pages.range.start),
      rangeEnd: Buffer.from(pages.range.end),
      limit: BigInt(limit),
      revision: pages.revision,
      keysOnly: pages.isKeysOnly,
    };
    const page = await this.#members.call(pages.what, 'read', (peer, options) =>
      peer.kv.range(request, options),
    );
    this.#lineage.accept(page.header, before);
    return page;
  }
}

function sizeAfter({ kvs }: RangeResponse): number {
  const bytes = kvs.reduce((sum, { key, value }) => sum + key.length + value.length, 0);
  const size = Math.floor((pageBytes * kvs.length) / Math.max(1, bytes));
  return Math.min(largestPage, Math.max(smallestPage, size));
}

/** The first that may follow: the same with a zero byte. */
function keyAfter(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}
