// SPDX-License-Identifier: Apache-2.0
/** Encodes netlink messages, one after the other, into one growing buffer. */
import { align4, attributeHeaderBytes, maxAttributePayload, NLA_F_NESTED } from './constants.ts';

const encoder = new TextEncoder();

/**
 * Numbers go out in host order (little-endian on every architecture that sys supports) unless the name ends in `be`:
 * nftables wants its numbers big-endian. Numbers are taken modulo their width.
 */
export class NetlinkWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #end = 0;
  #message = -1;

  constructor(capacity = 4096) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Bytes written so far; after endMessage a multiple of 4. */
  get length(): number {
    return this.#end;
  }

  /** What was written: a view that the next write may overwrite or leave behind. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#end);
  }

  clear(): void {
    this.#end = 0;
    this.#message = -1;
  }

  /** Forgets everything from `length` on, for instance a message that turned out not to fit. */
  truncate(length: number): void {
    this.#end = Math.min(length, this.#end);
    this.#message = -1;
  }

  /** struct nlmsghdr; its length is set by endMessage. */
  beginMessage(type: number, flags: number, seq: number): this {
    if (this.#message >= 0) throw new TypeError('the message before was not ended');
    this.#message = this.#end;
    return this.u32(0).u16(type).u16(flags).u32(seq).u32(0);
  }

  endMessage(): this {
    if (this.#message < 0) throw new TypeError('no message was begun');
    this.#view.setUint32(this.#message, this.#end - this.#message, true);
    this.#message = -1;
    return this;
  }

  /** A whole message. */
  message(type: number, flags: number, seq: number, fill: (writer: this) => void): this {
    this.beginMessage(type, flags, seq);
    fill(this);
    return this.endMessage();
  }

  u8(value: number): this {
    const at = this.#reserve(1); // may replace the view, so first
    this.#view.setUint8(at, value);
    return this;
  }

  u16(value: number): this {
    const at = this.#reserve(2);
    this.#view.setUint16(at, value, true);
    return this;
  }

  u16be(value: number): this {
    const at = this.#reserve(2);
    this.#view.setUint16(at, value);
    return this;
  }

  u32(value: number): this {
    const at = this.#reserve(4);
    this.#view.setUint32(at, value, true);
    return this;
  }

  u32be(value: number): this {
    const at = this.#reserve(4);
    this.#view.setUint32(at, value);
    return this;
  }

  /** `value` modulo 2^64. */
  u64(value: bigint): this {
    const at = this.#reserve(8);
    this.#view.setBigUint64(at, value, true);
    return this;
  }

  u64be(value: bigint): this {
    const at = this.#reserve(8);
    this.#view.setBigUint64(at, value);
    return this;
  }

  raw(bytes: Uint8Array): this {
    const at = this.#reserve(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }

  /** struct nfgenmsg, the head of every nfnetlink message: include/uapi/linux/netfilter/nfnetlink.h. */
  nfgenmsg(family: number, resourceId = 0): this {
    return this.u8(family).u8(0).u16be(resourceId);
  }

  attrU8(type: number, value: number): this {
    return this.#attribute(type, 1).u8(value).#pad();
  }

  attrU16(type: number, value: number): this {
    return this.#attribute(type, 2).u16(value).#pad();
  }

  attrU16be(type: number, value: number): this {
    return this.#attribute(type, 2).u16be(value).#pad();
  }

  attrU32(type: number, value: number): this {
    return this.#attribute(type, 4).u32(value);
  }

  attrU32be(type: number, value: number): this {
    return this.#attribute(type, 4).u32be(value);
  }

  attrU64(type: number, value: bigint): this {
    return this.#attribute(type, 8).u64(value);
  }

  attrU64be(type: number, value: bigint): this {
    return this.#attribute(type, 8).u64be(value);
  }

  /** An attribute that says what it says by being there. */
  attrFlag(type: number): this {
    return this.#attribute(type, 0);
  }

  /** With the final NUL. */
  attrString(type: number, text: string): this {
    return this.attrBytes(type, encoder.encode(`${text}\0`));
  }

  /** @throws {RangeError} above maxAttributePayload bytes. */
  attrBytes(type: number, bytes: Uint8Array): this {
    return this.#attribute(type, bytes.length).raw(bytes).#pad();
  }

  /** @returns where the attribute starts: give it to endNested. */
  beginNested(type: number): number {
    const start = this.#end;
    this.u16(0).u16(type | NLA_F_NESTED);
    return start;
  }

  /** @throws {RangeError} when it grew above 64 KiB: split what is inside over several. */
  endNested(start: number): this {
    const length = this.#end - start;
    if (length > 0xffff) throw new RangeError(`nested attribute of ${length} bytes: want at most ${0xffff}`);
    this.#view.setUint16(start, length, true);
    return this;
  }

  nested(type: number, fill: (writer: this) => void): this {
    const start = this.beginNested(type);
    fill(this);
    return this.endNested(start);
  }

  #attribute(type: number, payload: number): this {
    if (payload > maxAttributePayload) {
      throw new RangeError(`attribute ${type} of ${payload} bytes: want at most ${maxAttributePayload}`);
    }
    return this.u16(attributeHeaderBytes + payload).u16(type);
  }

  #pad(): this {
    const at = this.#end;
    this.#reserve(align4(at) - at);
    this.#bytes.fill(0, at, this.#end); // the buffer is used again and again
    return this;
  }

  #reserve(count: number): number {
    const at = this.#end;
    this.#end += count;
    if (this.#end > this.#bytes.length) this.#grow();
    return at;
  }

  #grow(): void {
    const bytes = new Uint8Array(Math.max(this.#bytes.length * 2, align4(this.#end)));
    bytes.set(this.#bytes);
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }
}
