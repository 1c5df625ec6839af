// SPDX-License-Identifier: Apache-2.0
/** The functions of libc that sys calls, once for both foreign function interfaces. */

/** `int` 32 bits; `long` 64 bits, passed as a number; `bytes` a pointer, passed as a Uint8Array or null. */
export type CType = 'int' | 'long' | 'bytes';
export type Bytes = Uint8Array | null;

/** Each returns -1 on failure and leaves errno. */
export interface LibcFunctions {
  readonly socket: (domain: number, type: number, protocol: number) => number;
  readonly bind: (fd: number, address: Bytes, length: number) => number;
  readonly connect: (fd: number, address: Bytes, length: number) => number;
  readonly listen: (fd: number, backlog: number) => number;
  readonly accept4: (fd: number, address: Bytes, length: Bytes, flags: number) => number;
  readonly setsockopt: (fd: number, level: number, name: number, value: Bytes, length: number) => number;
  readonly getsockopt: (fd: number, level: number, name: number, value: Bytes, length: Bytes) => number;
  readonly getsockname: (fd: number, address: Bytes, length: Bytes) => number;
  readonly sendto: (fd: number, b: Bytes, size: number, flags: number, to: Bytes, toLength: number) => number;
  readonly recvfrom: (
    fd: number,
    b: Bytes,
    size: number,
    flags: number,
    from: Bytes,
    fromLength: Bytes,
  ) => number;
  readonly poll: (fds: Bytes, count: number, timeoutMs: number) => number;
  readonly open: (path: Bytes, flags: number, mode: number) => number;
  readonly close: (fd: number) => number;
  readonly fcntl: (fd: number, command: number, argument: number) => number;
  readonly ioctl: (fd: number, request: number, argument: Bytes) => number;
  readonly setns: (fd: number, kind: number) => number;
  readonly unshare: (flags: number) => number;
  readonly mount: (source: Bytes, target: Bytes, type: Bytes, flags: number, data: Bytes) => number;
  readonly umount2: (target: Bytes, flags: number) => number;
  readonly mmap: (
    at: Bytes,
    length: number,
    protection: number,
    flags: number,
    fd: number,
    offset: number,
  ) => number;
  readonly munmap: (address: number, length: number) => number;
  readonly syscall: (number: number, a: number, b: Bytes, c: number) => number;
}

/** Result first, then the arguments. Variadic ones are declared as called: on Linux both ABIs pass them alike. */
export const libcSignatures: { readonly [Name in keyof LibcFunctions]: readonly [CType, ...CType[]] } = {
  socket: ['int', 'int', 'int', 'int'],
  bind: ['int', 'int', 'bytes', 'int'],
  connect: ['int', 'int', 'bytes', 'int'],
  listen: ['int', 'int', 'int'],
  accept4: ['int', 'int', 'bytes', 'bytes', 'int'],
  setsockopt: ['int', 'int', 'int', 'int', 'bytes', 'int'],
  getsockopt: ['int', 'int', 'int', 'int', 'bytes', 'bytes'],
  getsockname: ['int', 'int', 'bytes', 'bytes'],
  sendto: ['long', 'int', 'bytes', 'long', 'int', 'bytes', 'int'],
  recvfrom: ['long', 'int', 'bytes', 'long', 'int', 'bytes', 'bytes'],
  poll: ['int', 'bytes', 'long', 'int'],
  open: ['int', 'bytes', 'int', 'int'],
  close: ['int', 'int'],
  fcntl: ['int', 'int', 'int', 'int'],
  ioctl: ['int', 'int', 'long', 'bytes'],
  setns: ['int', 'int', 'int'],
  unshare: ['int', 'int'],
  mount: ['int', 'bytes', 'bytes', 'bytes', 'long', 'bytes'],
  umount2: ['int', 'bytes', 'int'],
  mmap: ['long', 'bytes', 'long', 'int', 'int', 'int', 'long'],
  munmap: ['int', 'long', 'long'],
  syscall: ['long', 'long', 'long', 'bytes', 'long'],
};

/** What a foreign function interface must offer. */
export interface Libc {
  readonly backend: 'koffi' | 'node-ffi';
  readonly call: LibcFunctions;
  /** Of the last call on this thread; read it before anything else runs. */
  errno(): number;
  addressOf(bytes: Uint8Array): bigint;
  /** Memory that is not JavaScript's, in place. It must be detached before that memory goes. */
  view(address: number, length: number): ArrayBuffer;
  /** Raw notice out of libuv's poll phase: promises are not drained after it (measured with koffi on Node 26). */
  watch(fd: number, onNotice: (stopped: boolean) => void): RawWatch;
}

/**
 * libuv stops a poll handle when the descriptor reports an error (uv__poll_io in src/unix/poll.c), which a netlink
 * socket does after an overflow: the notice then says `stopped`, and `rearm` starts it again.
 */
export interface RawWatch extends Disposable {
  rearm(): void;
}
