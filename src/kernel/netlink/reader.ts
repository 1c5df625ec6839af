// SPDX-License-Identifier: Apache-2.0
/** Decodes netlink messages in place: nothing is copied but what `bytes` and `string` hand out. */
import { align4, attributeHeaderBytes, headerBytes, NLA_TYPE_MASK } from './constants.ts';

const decoder = new TextDecoder();

/** One message in a receive buffer that will be used again: take out what you need before the next one. */
export class NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly seq: number;
  readonly portId: number;
  readonly #view: DataView;
  readonly #start: number;
  readonly #end: number;

  constructor(view: DataView, at: number, end: number) {
    this.type = view.getUint16(at + 4, true);
    this.flags = view.getUint16(at + 6, true);
    this.seq = view.getUint32(at + 8, true);
    this.portId = view.getUint32(at + 12, true);
    this.#view = view;
    this.#start = at + headerBytes;
    this.#end = end;
  }

  /** Bytes after the header. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** Numbers of the family's fixed header, by offset after the netlink header, in host order. */
  u8(offset: number): number {
    return this.#view.getUint8(this.#start + offset);
  }

  u16(offset: number): number {
    return this.#view.getUint16(this.#start + offset, true);
  }

  u32(offset: number): number {
    return this.#view.getUint32(this.#start + offset, true);
  }

  i32(offset: number): number {
    return this.#view.getInt32(this.#start + offset, true);
  }

  /** @param offset - bytes of the family's fixed header. */
  attributes(offset: number): Attributes {
    return new Attributes(this.#view, this.#start + align4(offset), this.#end);
  }
}

/**
 * A cursor over attributes. Iterating yields the cursor itself, so a dump of 10,000 rows makes no garbage per attribute:
 * read the value before stepping on.
 *
 * @throws {RangeError} when an attribute is longer than what holds it.
 */
export class Attributes {
  readonly #view: DataView;
  readonly #end: number;
  #next: number;
  #at = 0;
  #length = 0;
  #type = 0;

  constructor(view: DataView, start: number, end: number) {
    this.#view = view;
    this.#next = start;
    this.#end = end;
  }

  next(): boolean {
    if (this.#next + attributeHeaderBytes > this.#end) return false;
    const length = this.#view.getUint16(this.#next, true);
    if (length < attributeHeaderBytes || this.#next + length > this.#end) {
      throw new RangeError(
        `attribute of ${length} bytes: want ${attributeHeaderBytes} to ${this.#end - this.#next}`,
      );
    }
    this.#type = this.#view.getUint16(this.#next + 2, true) & NLA_TYPE_MASK;
    this.#at = this.#next + attributeHeaderBytes;
    this.#length = length - attributeHeaderBytes;
    this.#next += align4(length);
    return true;
  }

  *[Symbol.iterator](): Generator<this> {
    while (this.next()) yield this;
  }

  /** Without the flags for nesting and byte order. */
  get type(): number {
    return this.#type;
  }

  /** Bytes of the value. */
  get length(): number {
    return this.#length;
  }

  u8(): number {
    return this.#view.getUint8(this.#within(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#within(2), true);
  }

  u16be(): number {
    return this.#view.getUint16(this.#within(2));
  }

  u32(): number {
    return this.#view.getUint32(this.#within(4), true);
  }

  u32be(): number {
    return this.#view.getUint32(this.#within(4));
  }

  i32(): number {
    return this.#view.getInt32(this.#within(4), true);
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#within(8), true);
  }

  u64be(): bigint {
    return this.#view.getBigUint64(this.#within(8));
  }

  /** A copy. */
  bytes(): Uint8Array {
    const start = this.#view.byteOffset + this.#at;
    return new Uint8Array(this.#view.buffer.slice(start, start + this.#length));
  }

  /** UTF-8 up to the first NUL. */
  string(): string {
    let length = 0;
    while (length < this.#length && this.#view.getUint8(this.#at + length) !== 0) length++;
    return decoder.decode(new Uint8Array(this.#view.buffer, this.#view.byteOffset + this.#at, length));
  }

  nested(): Attributes {
    return new Attributes(this.#view, this.#at, this.#at + this.#length);
  }

  #within(count: number): number {
    if (this.#length < count)
      throw new RangeError(`attribute ${this.#type}: got ${this.#length} bytes, want ${count}`);
    return this.#at;
  }
}

/** Every message of one datagram. @throws {RangeError} when a header claims more than there is. */
export function* messagesOf(bytes: Uint8Array): Generator<NetlinkMessage> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + headerBytes <= bytes.length; ) {
    const length = view.getUint32(at, true);
    if (length < headerBytes || at + length > bytes.length) {
      throw new RangeError(`netlink message of ${length} bytes: want ${headerBytes} to ${bytes.length - at}`);
    }
    yield new NetlinkMessage(view, at, at + length);
    at += align4(length);
  }
}
