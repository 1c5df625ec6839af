// SPDX-License-Identifier: Apache-2.0
/**
 * Door of netlink: one socket, requests answered synchronously, or events.
 *
 * Owns:       framing, sequence numbers, acknowledgements, dumps, overflow. Knows no family.
 * Takes in:   bytes of a NetlinkWriter, or a callback that fills one.
 * Gives out:  decoded rows, one KernelError per refused message, event messages.
 * Invariants: the socket stays in the network namespace of the thread that opened it, for ever.
 *             The kernel handles a request inside send(2): its answers wait when send returns.
 *             A socket is for requests or for events, never both: an overflow of events would swallow answers.
 * Next:       writer.ts encodes, reader.ts decodes, ../rtnetlink and ../nft speak the families.
 */
import { KernelError } from '../../lib/errors.ts';
import {
  AF_NETLINK,
  EINTR,
  EMSGSIZE,
  ENOBUFS,
  ETIMEDOUT,
  MSG_DONTWAIT,
  MSG_TRUNC,
  POLLIN,
  SO_RCVBUFFORCE,
  SO_SNDBUFFORCE,
  SOCK_RAW,
  SOL_NETLINK,
  SOL_SOCKET,
} from '../sys/constants.ts';
import type { Fd } from '../sys/fd.ts';
import { errnoText, kernelError } from '../sys/linux.ts';
import { sys } from '../sys/open.ts';
import {
  align4,
  headerBytes,
  NETLINK_ADD_MEMBERSHIP,
  NETLINK_CAP_ACK,
  NETLINK_EXT_ACK,
  NETLINK_GET_STRICT_CHK,
  NLM_F_ACK,
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_MIN_TYPE,
  NLMSGERR_ATTR_MSG,
} from './constants.ts';
import { messagesOf, type NetlinkMessage } from './reader.ts';
import { NetlinkWriter } from './writer.ts';

/** One buffer takes any datagram: dumps come in 32 KiB at most, a single message holds one attribute of 64 KiB. */
const receiveBytes = 256 * 1024;
/** The kernel holds this much for us at most; memory is used only while something waits. */
const defaultBufferBytes = 32 * 1024 * 1024;
/** Answers wait when send returns; this only turns a kernel that never answers into an error. */
const answerTimeoutMs = 10_000;
/** A busy table may change during each of a few dumps, hardly during twenty. */
const dumpAttempts = 20;
/** Datagrams handled before other work of the event loop gets its turn. */
const eventsPerTurn = 256;

export interface NetlinkOptions {
  /** Bytes of the kernel's receive queue. @defaultValue 32 MiB */
  readonly receiveBuffer?: number;
  /** Bytes that one send may hold: must exceed the largest transaction. @defaultValue 32 MiB */
  readonly sendBuffer?: number;
  /** Multicast groups by number (RTNLGRP_*, NFNLGRP_*), for an events socket. */
  readonly groups?: readonly number[];
}

/** What the kernel said of one message. */
export interface NetlinkAnswer {
  readonly seq: number;
  /** 0: accepted. */
  readonly errno: number;
  /** The kernel's own words (NLMSGERR_ATTR_MSG); empty if it had none. */
  readonly text: string;
}

export class NetlinkSocket implements Disposable {
  /** The kernel's address of this socket; owner of nftables tables with the owner flag. */
  readonly portId: number;
  readonly #fd: Fd;
  readonly #buffer = new Uint8Array(receiveBytes);
  readonly #writer = new NetlinkWriter();
  #seq = 0;
  #watch: Disposable | null = null;
  #drain: () => boolean = () => true;

  private constructor(fd: Fd) {
    this.#fd = fd;
    const address = sys.getsockname(fd); // struct sockaddr_nl: family, pad, portid, groups
    this.portId = new DataView(address.buffer, address.byteOffset).getUint32(4, true);
  }

  /** In the network namespace of the calling thread. @throws {KernelError} */
  static open(protocol: number, options: NetlinkOptions = {}): NetlinkSocket {
    const fd = sys.socket(AF_NETLINK, SOCK_RAW, protocol);
    try {
      for (const option of [NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK]) {
        sys.setsockopt(fd, SOL_NETLINK, option, 1);
      }
      sys.setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, options.sendBuffer ?? defaultBufferBytes);
      sys.setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, options.receiveBuffer ?? defaultBufferBytes);
      const unnamed = new Uint8Array(12);
      unnamed[0] = AF_NETLINK;
      sys.bind(fd, unnamed);
      const socket = new NetlinkSocket(fd);
      for (const group of options.groups ?? []) socket.join(group);
      return socket;
    } catch (error) {
      fd.close();
      throw error;
    }
  }

  join(group: number): void {
    sys.setsockopt(this.#fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group);
  }

  /** A number no message of this socket bore lately; never 0, which marks events. */
  nextSeq(): number {
    this.#seq = (this.#seq + 1) >>> 0 || 1;
    return this.#seq;
  }

  /**
   * One change, acknowledged.
   *
   * @param operation - for the error: `create link veth0`.
   * @param flags - beside NLM_F_REQUEST and NLM_F_ACK.
   * @throws {KernelError} as the kernel refused it.
   */
  request(operation: string, type: number, flags: number, fill: (writer: NetlinkWriter) => void): void {
    this.#exchange(operation, type, flags | NLM_F_ACK, fill, () => {});
  }

  /** One object, asked for without NLM_F_DUMP. @throws {KernelError} ENODEV, ENOENT and the like when it is not there. */
  get<T>(
    operation: string,
    type: number,
    fill: (writer: NetlinkWriter) => void,
    decode: (message: NetlinkMessage) => T,
  ): T {
    const found: T[] = [];
    this.#exchange(operation, type, NLM_F_ACK, fill, (message) => found.push(decode(message)));
    if (found.length !== 1) throw new KernelError(operation, 0, `got ${found.length} answers, want 1`);
    return found[0] as T;
  }

  /**
   * Every object, consistently: repeated when the kernel says that something changed meanwhile.
   *
   * @param decode - null leaves a row out.
   * @throws {KernelError} EINTR when it changed during every attempt.
   */
  dump<T>(
    operation: string,
    type: number,
    fill: (writer: NetlinkWriter) => void,
    decode: (message: NetlinkMessage) => T | null,
  ): T[] {
    for (let attempt = 0; attempt < dumpAttempts; attempt++) {
      const rows: T[] = [];
      const consistent = this.#exchange(operation, type, NLM_F_DUMP, fill, (message) => {
        const row = decode(message);
        if (row !== null) rows.push(row);
      });
      if (consistent) return rows;
    }
    throw kernelError(operation, EINTR, `changed during each of ${dumpAttempts} dumps`);
  }

  /**
   * Sends messages as they are and gathers every answer: of messages with NLM_F_ACK, and of refused ones always.
   *
   * @param onReply - what comes besides, for instance objects echoed by NLM_F_ECHO.
   * @throws {KernelError} EMSGSIZE when `bytes` exceed the send buffer; ENOBUFS when answers were lost.
   */
  transact(
    operation: string,
    bytes: Uint8Array,
    onReply?: (message: NetlinkMessage) => void,
  ): NetlinkAnswer[] {
    this.sendRaw(operation, bytes);
    const answers: NetlinkAnswer[] = [];
    for (let part = this.#receive(operation); part !== null; part = this.#receive(operation)) {
      for (const message of messagesOf(part)) {
        if (message.type === NLMSG_ERROR) answers.push(answerOf(message));
        else if (message.type >= NLMSG_MIN_TYPE) onReply?.(message);
      }
    }
    return answers;
  }

  /** @throws {KernelError} */
  sendRaw(operation: string, bytes: Uint8Array): void {
    const sent = named(operation, () => sys.send(this.#fd, bytes));
    if (sent !== bytes.length) throw kernelError(operation, ENOBUFS, `sent ${sent} of ${bytes.length} bytes`);
  }

  /**
   * Delivers multicast messages from now on, each datagram's together.
   *
   * @param onOverflow - the kernel dropped events (ENOBUFS): what you know is stale, list again.
   */
  onEvents(onMessages: (messages: Iterable<NetlinkMessage>) => void, onOverflow: () => void): void {
    this.#watch?.[Symbol.dispose]();
    this.#drain = () => this.#drainEvents(onMessages, onOverflow);
    this.#watch = sys.watch(this.#fd, () => void this.#drain());
  }

  /** Delivers every event that waits, now. */
  hear(): void {
    while (this.#fd.isOpen && !this.#drain()) {} // until the queue was seen empty
  }

  close(): void {
    this.#watch?.[Symbol.dispose]();
    this.#watch = null;
    this.#fd.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** @returns true when none is left. */
  #drainEvents(onMessages: (messages: Iterable<NetlinkMessage>) => void, onOverflow: () => void): boolean {
    for (let turn = 0; turn < eventsPerTurn && this.#fd.isOpen; turn++) {
      let part: Uint8Array | null;
      try {
        part = this.#receive('receive events');
      } catch (error) {
        if (!(error instanceof KernelError) || (error.errno !== ENOBUFS && error.errno !== EMSGSIZE))
          throw error;
        onOverflow();
        continue;
      }
      if (part === null) return true;
      onMessages(messagesOf(part));
    }
    return false;
  }

  /** @returns false when the kernel marked the dump as inconsistent. */
  #exchange(
    operation: string,
    type: number,
    flags: number,
    fill: (writer: NetlinkWriter) => void,
    onReply: (message: NetlinkMessage) => void,
  ): boolean {
    const seq = this.nextSeq();
    this.#writer.clear();
    this.#writer.message(type, flags | NLM_F_REQUEST, seq, fill);
    this.sendRaw(operation, this.#writer.bytes);
    let consistent = true;
    let thrown: { readonly error: unknown } | null = null;
    for (;;) {
      for (const message of messagesOf(this.#await(operation))) {
        if (message.seq !== seq) continue; // left over from an exchange that ended in an error
        if ((message.flags & NLM_F_DUMP_INTR) !== 0) consistent = false;
        if (message.type === NLMSG_ERROR || message.type === NLMSG_DONE) {
          if (thrown) throw thrown.error;
          throwRefusal(operation, message);
          return consistent;
        }
        try {
          if (!thrown) onReply(message);
        } catch (error) {
          thrown = { error }; // a dump must be read to its end, or the next one gets EBUSY
        }
      }
    }
  }

  #await(operation: string): Uint8Array {
    for (;;) {
      const part = this.#receive(operation);
      if (part !== null) return part;
      const [ready] = sys.poll([{ fd: this.#fd, events: POLLIN }], answerTimeoutMs);
      if (ready === 0) throw kernelError(operation, ETIMEDOUT, `no answer within ${answerTimeoutMs} ms`);
    }
  }

  #receive(operation: string): Uint8Array | null {
    const length = named(operation, () => sys.recv(this.#fd, this.#buffer, MSG_DONTWAIT | MSG_TRUNC));
    if (length === null) return null;
    if (length > receiveBytes)
      throw kernelError(operation, EMSGSIZE, `got ${length} bytes, want ${receiveBytes}`);
    return this.#buffer.subarray(0, length);
  }
}

/** The caller's name for what failed, in place of the call's. */
function named<T>(operation: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (error instanceof KernelError) throw kernelError(operation, error.errno);
    throw error;
  }
}

/** NLMSG_ERROR is: error, the request's header, the request unless capped, attributes. NLMSG_DONE: error, attributes. */
function answerOf(message: NetlinkMessage): NetlinkAnswer {
  const errno = message.length >= 4 ? -message.i32(0) : 0;
  let text = '';
  if ((message.flags & NLM_F_ACK_TLVS) !== 0) {
    for (const attribute of message.attributes(answerHeaderBytes(message))) {
      if (attribute.type === NLMSGERR_ATTR_MSG) text = attribute.string();
    }
  }
  return { seq: message.seq, errno, text };
}

function answerHeaderBytes(message: NetlinkMessage): number {
  if (message.type === NLMSG_DONE) return 4;
  return 4 + ((message.flags & NLM_F_CAPPED) !== 0 ? headerBytes : align4(message.u32(4)));
}

function throwRefusal(operation: string, message: NetlinkMessage): void {
  const answer = answerOf(message);
  if (answer.errno !== 0) throw answerError(operation, answer);
}

/** The error that a refused message of a batch stands for. */
export function answerError(operation: string, answer: NetlinkAnswer): KernelError {
  const said = errnoText(answer.errno);
  return new KernelError(operation, answer.errno, answer.text ? `${answer.text}: ${said}` : said);
}
