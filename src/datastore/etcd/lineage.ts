// SPDX-License-Identifier: Apache-2.0
/**
 * Whether the history that etcd answers from is the one we know: a store restored from a backup counts again from an older
 * revision, or is another cluster. Nobody must be handed its state as if it were a later one of the same history.
 *
 * Owns:       the newest revision seen, and one event as a witness: in a restored history it is not there, even when that
 *             has gone past its revision.
 * Invariants: answers may overtake each other; one counts as older only when it was asked for after the newer had come.
 */
import { hash } from 'node:crypto';
import { HistoryReplacedError } from '../../lib/errors.ts';
import type { KeyValue, ResponseHeader } from './api/etcd_pb.ts';

interface Witness {
  readonly key: Uint8Array;
  readonly revision: bigint;
  readonly digest: string;
}

export class Lineage {
  #clusterId = 0n;
  #revision = 0n;
  #witness: Witness | null = null;
  #number = 1;

  /** Of the history: whoever began in another one has to begin anew. */
  get number(): number {
    return this.#number;
  }

  /** To be taken before a request, and given to `accept` with its answer. */
  get revision(): bigint {
    return this.#revision;
  }

  get witness(): Witness | null {
    return this.#witness;
  }

  /** @throws {HistoryReplacedError} once; from then on the answer's history is the known one. */
  accept(header: ResponseHeader | undefined, revisionBefore: bigint): bigint {
    const { clusterId = 0n, revision = 0n } = header ?? {};
    const isOther = this.#clusterId !== 0n && clusterId !== this.#clusterId;
    const fault = isOther
      ? `got cluster ${clusterId.toString(16)}, want ${this.#clusterId.toString(16)}`
      : `got revision ${revision}, want ${revisionBefore} or later`;
    if (isOther || revision < revisionBefore) this.#restart(clusterId, revision, fault);
    this.#clusterId = clusterId;
    if (revision > this.#revision) this.#revision = revision;
    return revision;
  }

  /** What was written by us: whatever the history, it was. */
  wrote(header: ResponseHeader | undefined): void {
    if (!header || (this.#clusterId !== 0n && header.clusterId !== this.#clusterId)) return;
    this.#clusterId = header.clusterId;
    if (header.revision > this.#revision) this.#revision = header.revision;
  }

  /** What a put event, or a page of a list, showed last. */
  remember(kv: KeyValue | undefined): void {
    if (!kv || (this.#witness && kv.modRevision <= this.#witness.revision)) return;
    this.#witness = { key: kv.key.slice(), revision: kv.modRevision, digest: digestOf(kv) };
  }

  /**
   * @param found - what stands under the witness's key at its revision.
   * @throws {HistoryReplacedError}
   */
  confirm(witness: Witness, found: KeyValue | undefined): void {
    if (found && found.modRevision === witness.revision && digestOf(found) === witness.digest) return;
    this.#restart(this.#clusterId, 0n, `got another object at revision ${witness.revision} than before`);
  }

  #restart(clusterId: bigint, revision: bigint, fault: string): never {
    this.#clusterId = clusterId;
    this.#revision = revision;
    this.#witness = null;
    this.#number++;
    throw new HistoryReplacedError(`etcd was replaced or restored from a backup: ${fault}`);
  }
}

function digestOf({ value }: KeyValue): string {
  return hash('sha1', value, 'base64');
}
