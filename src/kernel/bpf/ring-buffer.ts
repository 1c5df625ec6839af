// SPDX-License-Identifier: Apache-2.0
/**
 * The reading end of a RINGBUF map: what programs hand over, in their order, without a copy.
 *
 * Two pages hold how far consumer and producers are; then come the data, mapped twice in a row, so that no record is broken at
 * the end. A record is 8 bytes of header, whose first word is its length and two flags, then the data, rounded up to 8 bytes.
 *
 * Invariants: one reader for each map. The position is told to the kernel before the next header is looked at: it wakes us only
 *             when it puts a record where we said we are (bpf_ringbuf_commit).
 *
 * @see kernel/bpf/ringbuf.c, Documentation/bpf/ringbuf.rst
 */
import { InvalidError } from '../../lib/errors.ts';
import { sys } from '../sys/open.ts';
import type { Mapping } from '../sys/sys.ts';
import type { BpfMap } from './map.ts';

const BUSY = 0x80000000;
const DISCARD = 0x40000000;
const headerBytes = 8;
const pageBytes = 4096; // x86-64; on arm64 as Debian builds it
/** Then other work of the event loop gets its turn; what is left makes the descriptor readable again. */
const recordsPerTurn = 4096;

export interface RingBuffer extends Disposable {
  /** Reads what is there, also without notice (BPF_RB_NO_WAKEUP). @returns records handed over. */
  drain(): number;
}

/**
 * @param onRecord - called on this thread's event loop, and from `drain`. The view is of shared memory and only valid during the
 *   call: copy what you keep.
 * @throws {InvalidError} when it is another type of map.
 */
export function openRingBuffer(map: BpfMap, onRecord: (view: DataView) => void): RingBuffer {
  if (map.info.type !== 'RINGBUF') {
    throw new InvalidError(`map ${map.info.name}: got type ${map.info.type}, want RINGBUF`);
  }
  return new Consumer(map, onRecord);
}

class Consumer implements RingBuffer {
  readonly #onRecord: (view: DataView) => void;
  readonly #capacity: number;
  readonly #mappings: DisposableStack;
  readonly #consumed: BigUint64Array;
  readonly #produced: BigUint64Array;
  readonly #headers: Int32Array;
  readonly #data: ArrayBuffer;
  #position: number;

  constructor(map: BpfMap, onRecord: (view: DataView) => void) {
    using stack = new DisposableStack();
    this.#onRecord = onRecord;
    this.#capacity = map.info.maxEntries;
    const own = stack.use(sys.mmap(map.fd, pageBytes, 0, 'write'));
    const shared: Mapping = stack.use(sys.mmap(map.fd, pageBytes + 2 * this.#capacity, pageBytes, 'read'));
    this.#data = shared.bytes.buffer;
    this.#consumed = new BigUint64Array(own.bytes.buffer, 0, 1);
    this.#produced = new BigUint64Array(this.#data, 0, 1);
    this.#headers = new Int32Array(this.#data, pageBytes);
    this.#position = Number(Atomics.load(this.#consumed, 0)); // where a reader before us stopped
    stack.use(sys.watch(map.fd, () => void this.#read(recordsPerTurn)));
    this.#mappings = stack.move();
  }

  drain(): number {
    return this.#read(Number.POSITIVE_INFINITY);
  }

  [Symbol.dispose](): void {
    this.#mappings.dispose();
  }

  #read(most: number): number {
    let count = 0;
    let before = -1;
    // Once more after the last record: what was written meanwhile makes no notice.
    while (this.#position !== before && count < most && !this.#mappings.disposed) {
      before = this.#position;
      count += this.#readUpTo(Number(Atomics.load(this.#produced, 0)), most - count);
    }
    return count;
  }

  #readUpTo(end: number, most: number): number {
    let count = 0;
    while (this.#position < end && count < most && !this.#mappings.disposed) {
      const at = this.#position % this.#capacity;
      const header = Atomics.load(this.#headers, at / 4);
      if ((header & BUSY) !== 0) break; // reserved, not yet submitted
      const length = header & ~DISCARD;
      const isRecord = (header & DISCARD) === 0;
      try {
        if (isRecord) this.#onRecord(new DataView(this.#data, pageBytes + at + headerBytes, length));
      } finally {
        this.#advance(length); // also past a record whose reader threw
      }
      if (isRecord) count++;
    }
    return count;
  }

  #advance(length: number): void {
    this.#position += (headerBytes + length + 7) & ~7;
    if (!this.#mappings.disposed) Atomics.store(this.#consumed, 0, BigInt(this.#position));
  }
}
