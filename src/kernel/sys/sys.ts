// SPDX-License-Identifier: Apache-2.0
/**
 * Door of sys: the system calls that Muslin makes, as an interface.
 *
 * Owns:       the calls, their errors and their descriptors. The only folder that knows koffi or node:ffi.
 * Takes in:   numbers and bytes; nothing is encoded here but what the call itself needs.
 * Gives out:  numbers, bytes and `Fd`. Every refused call throws KernelError with its errno.
 * Invariants: synchronous, on the calling thread (setns and unshare change that thread alone). A buffer passed in is
 *             borrowed until the call returns. Nothing here blocks unless its name or a timeout says so.
 * Next:       linux.ts implements it over libc.ts; koffi.ts and node-ffi.ts reach libc; open.ts chooses one.
 */
import type { Fd } from './fd.ts';

export interface Sys {
  readonly backend: 'koffi' | 'node-ffi';

  /** @throws {KernelError} as does every call below. Descriptors are always close-on-exec. */
  socket(domain: number, type: number, protocol: number): Fd;
  /** @param address - a struct sockaddr of any family, in kernel layout. */
  bind(fd: Fd, address: Uint8Array): void;
  /** @returns `in-progress` for a non-blocking stream socket: wait for POLLOUT, then read SO_ERROR. */
  connect(fd: Fd, address: Uint8Array): 'connected' | 'in-progress';
  listen(fd: Fd, backlog: number): void;
  /** @returns null when nothing waits. */
  accept(fd: Fd): Fd | null;
  /** A number is passed as a C int. */
  setsockopt(fd: Fd, level: number, name: number, value: number | Uint8Array): void;
  /** @returns bytes written into `value`. */
  getsockopt(fd: Fd, level: number, name: number, value: Uint8Array): number;
  getsockname(fd: Fd): Uint8Array;
  /** @returns bytes taken by the kernel; null if a non-blocking socket would have to wait. */
  send(fd: Fd, bytes: Uint8Array, flags?: number, to?: Uint8Array): number | null;
  /**
   * @param from - filled with the sender's struct sockaddr.
   * @returns bytes read (with MSG_TRUNC the whole length, even beyond `into`); null if it would have to wait.
   */
  recv(fd: Fd, into: Uint8Array, flags?: number, from?: Uint8Array): number | null;

  /**
   * @param timeoutMs - 0 returns at once, -1 waits for ever.
   * @returns revents in the order of `interests`, all 0 after the timeout or a signal.
   */
  poll(interests: readonly PollInterest[], timeoutMs: number): number[];
  /** Calls back on this thread's event loop whenever `fd` is readable, in an immediate of its own. */
  watch(fd: Fd, onReadable: () => void): Disposable;

  open(path: string, flags: number, mode?: number): Fd;
  dup(fd: Fd): Fd;
  /** @param offset - in the file, a multiple of the page size. Shared with everyone who maps the same. */
  mmap(fd: Fd, length: number, offset: number, access: 'read' | 'write'): Mapping;
  ioctl(fd: Fd, request: number, argument: Uint8Array): number;

  /** @param kind - a CLONE_NEW* flag. Changes the calling thread alone. */
  setns(fd: Fd, kind: number): void;
  unshare(flags: number): void;
  mount(source: string, target: string, type: string, flags: number, data?: string): void;
  umount(target: string, flags?: number): void;

  /**
   * bpf(2). Never throws: looking for what is not there is no failure, and an Error costs more than the call.
   *
   * @returns the call's result (a new descriptor's number for some commands, else 0), or its errno, negative.
   */
  bpf(command: number, attributes: Uint8Array): number;
  /** Takes a descriptor that another call returned as a number (bpf) into ownership. */
  own(number: number): Fd;
  /** Where `bytes` start in memory, for pointers inside structures. Keep a reference to `bytes` while it is used. */
  addressOf(bytes: Uint8Array): bigint;
}

/** Shared memory. Once disposed of, its views are empty. */
export interface Mapping extends Disposable {
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export interface PollInterest {
  readonly fd: Fd;
  /** POLLIN, POLLOUT. */
  readonly events: number;
}
