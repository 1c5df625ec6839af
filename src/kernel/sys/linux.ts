// SPDX-License-Identifier: Apache-2.0
/** Sys over libc. Errno is read at once after each call, before anything can change it. */
import { getSystemErrorMessage, getSystemErrorName } from 'node:util';
import { KernelError, UnsupportedError } from '../../lib/errors.ts';
import {
  EAGAIN,
  EINPROGRESS,
  EINTR,
  ENOTSUPP,
  MAP_SHARED,
  MSG_NOSIGNAL,
  O_CLOEXEC,
  PROT_READ,
  PROT_WRITE,
  SOCK_CLOEXEC,
} from './constants.ts';
import { Fd } from './fd.ts';
import type { Libc } from './libc.ts';
import type { Mapping, PollInterest, Sys } from './sys.ts';

/** arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h */
const bpfSyscalls: { readonly [arch: string]: number } = { x64: 321, arm64: 280 };
const F_DUPFD_CLOEXEC = 1030;
const SOCKADDR_STORAGE = 128; // bytes, _K_SS_MAXSIZE

/** `No such file or directory (ENOENT)` */
export function errnoText(errno: number): string {
  if (errno === ENOTSUPP) return 'not supported (ENOTSUPP)';
  return `${getSystemErrorMessage(-errno)} (${getSystemErrorName(-errno)})`;
}

export function kernelError(operation: string, errno: number, hint = ''): KernelError {
  return new KernelError(operation, errno, hint ? `${hint}: ${errnoText(errno)}` : errnoText(errno));
}

/** @throws {UnsupportedError} on an architecture whose call numbers are not known here. */
export function linuxSys(libc: Libc): Sys {
  const bpfSyscall = bpfSyscalls[process.arch];
  if (process.platform !== 'linux' || bpfSyscall === undefined) {
    throw new UnsupportedError(
      `cannot make system calls on ${process.platform}/${process.arch}: want Linux on x64 or arm64`,
    );
  }
  return new LinuxSys(libc, bpfSyscall);
}

class LinuxSys implements Sys {
  readonly backend: Sys['backend'];
  readonly #libc: Libc;
  readonly #bpfSyscall: number;
  readonly #closeNumber: (number: number) => void;

  constructor(libc: Libc, bpfSyscall: number) {
    this.backend = libc.backend;
    this.#libc = libc;
    this.#bpfSyscall = bpfSyscall;
    this.#closeNumber = (number) => void libc.call.close(number); // Linux frees it whatever close(2) returns
  }

  socket(domain: number, type: number, protocol: number): Fd {
    return this.own(this.#check('socket', this.#libc.call.socket(domain, type | SOCK_CLOEXEC, protocol)));
  }

  bind(fd: Fd, address: Uint8Array): void {
    this.#check('bind', this.#libc.call.bind(fd.number, address, address.length));
  }

  connect(fd: Fd, address: Uint8Array): 'connected' | 'in-progress' {
    if (this.#libc.call.connect(fd.number, address, address.length) >= 0) return 'connected';
    const errno = this.#libc.errno();
    if (errno === EINPROGRESS) return 'in-progress';
    throw kernelError('connect', errno);
  }

  listen(fd: Fd, backlog: number): void {
    this.#check('listen', this.#libc.call.listen(fd.number, backlog));
  }

  accept(fd: Fd): Fd | null {
    const number = this.#checkUnlessBlocked(
      'accept',
      this.#libc.call.accept4(fd.number, null, null, SOCK_CLOEXEC),
    );
    return number === null ? null : this.own(number);
  }

  setsockopt(fd: Fd, level: number, name: number, value: number | Uint8Array): void {
    const bytes = typeof value === 'number' ? new Uint8Array(Int32Array.of(value).buffer) : value;
    this.#check(
      `set socket option ${level}/${name}`,
      this.#libc.call.setsockopt(fd.number, level, name, bytes, bytes.length),
    );
  }

  getsockopt(fd: Fd, level: number, name: number, value: Uint8Array): number {
    const length = Int32Array.of(value.length);
    this.#check(
      `get socket option ${level}/${name}`,
      this.#libc.call.getsockopt(fd.number, level, name, value, new Uint8Array(length.buffer)),
    );
    return length[0] ?? 0;
  }

  getsockname(fd: Fd): Uint8Array {
    const address = new Uint8Array(SOCKADDR_STORAGE);
    const length = Int32Array.of(address.length);
    this.#check(
      'getsockname',
      this.#libc.call.getsockname(fd.number, address, new Uint8Array(length.buffer)),
    );
    return address.subarray(0, length[0]);
  }

  send(fd: Fd, bytes: Uint8Array, flags = 0, to: Uint8Array | null = null): number | null {
    return this.#checkUnlessBlocked(
      'send',
      this.#libc.call.sendto(fd.number, bytes, bytes.length, flags | MSG_NOSIGNAL, to, to?.length ?? 0),
    );
  }

  recv(fd: Fd, into: Uint8Array, flags = 0, from: Uint8Array | null = null): number | null {
    const fromLength = from && new Uint8Array(Int32Array.of(from.length).buffer);
    return this.#checkUnlessBlocked(
      'receive',
      this.#libc.call.recvfrom(fd.number, into, into.length, flags, from, fromLength),
    );
  }

  poll(interests: readonly PollInterest[], timeoutMs: number): number[] {
    const bytes = new Uint8Array(interests.length * 8); // struct pollfd: int fd, short events, short revents
    const view = new DataView(bytes.buffer);
    for (const [i, interest] of interests.entries()) {
      view.setInt32(i * 8, interest.fd.number, true);
      view.setInt16(i * 8 + 4, interest.events, true);
    }
    const count = this.#libc.call.poll(bytes, interests.length, timeoutMs);
    const errno = count < 0 ? this.#libc.errno() : 0;
    if (errno !== 0 && errno !== EINTR) throw kernelError('poll', errno);
    return interests.map((_, i) => (errno === 0 ? view.getInt16(i * 8 + 6, true) : 0));
  }

  watch(fd: Fd, onReadable: () => void): Disposable {
    let scheduled = false;
    let closed = false;
    let rearm = false;
    // In an immediate: promises are drained after it on every version, and what it throws reaches the top.
    const handle = this.#libc.watch(fd.number, (stopped) => {
      rearm ||= stopped;
      if (scheduled) return;
      scheduled = true;
      setImmediate(() => {
        scheduled = false;
        if (!closed) onReadable();
        if (!closed && rearm) handle.rearm(); // the error was read by now; what came meanwhile is noticed at once
        rearm = false;
      });
    });
    return {
      [Symbol.dispose]() {
        if (!closed) handle[Symbol.dispose]();
        closed = true;
      },
    };
  }

  open(path: string, flags: number, mode = 0): Fd {
    return this.own(
      this.#check(`open ${path}`, this.#libc.call.open(cString(path), flags | O_CLOEXEC, mode)),
    );
  }

  dup(fd: Fd): Fd {
    return this.own(this.#check('dup', this.#libc.call.fcntl(fd.number, F_DUPFD_CLOEXEC, 0)));
  }

  mmap(fd: Fd, length: number, offset: number, access: 'read' | 'write'): Mapping {
    const protection = access === 'write' ? PROT_READ | PROT_WRITE : PROT_READ;
    const { mmap, munmap } = this.#libc.call;
    const address = this.#check('mmap', mmap(null, length, protection, MAP_SHARED, fd.number, offset));
    const buffer = this.#libc.view(address, length);
    return {
      bytes: new Uint8Array(buffer),
      [Symbol.dispose]() {
        if (buffer.detached) return;
        buffer.transfer(0); // detaches every view: reading one that stayed would end the process
        munmap(address, length);
      },
    };
  }

  ioctl(fd: Fd, request: number, argument: Uint8Array): number {
    return this.#check(`ioctl ${request}`, this.#libc.call.ioctl(fd.number, request, argument));
  }

  setns(fd: Fd, kind: number): void {
    this.#check('enter namespace', this.#libc.call.setns(fd.number, kind));
  }

  unshare(flags: number): void {
    this.#check('unshare', this.#libc.call.unshare(flags));
  }

  mount(source: string, target: string, type: string, flags: number, data = ''): void {
    this.#check(
      `mount ${source} on ${target}`,
      this.#libc.call.mount(
        cString(source),
        cString(target),
        cString(type),
        flags,
        data ? cString(data) : null,
      ),
    );
  }

  umount(target: string, flags = 0): void {
    this.#check(`unmount ${target}`, this.#libc.call.umount2(cString(target), flags));
  }

  bpf(command: number, attributes: Uint8Array): number {
    const result = this.#libc.call.syscall(this.#bpfSyscall, command, attributes, attributes.length);
    return result >= 0 ? result : -this.#libc.errno();
  }

  own(number: number): Fd {
    return new Fd(number, this.#closeNumber);
  }

  addressOf(bytes: Uint8Array): bigint {
    return this.#libc.addressOf(bytes);
  }

  #check(operation: string, result: number): number {
    if (result >= 0) return result;
    throw kernelError(operation, this.#libc.errno());
  }

  #checkUnlessBlocked(operation: string, result: number): number | null {
    if (result >= 0) return result;
    const errno = this.#libc.errno();
    if (errno === EAGAIN) return null;
    throw kernelError(operation, errno);
  }
}

/** @throws {TypeError} if `text` holds a NUL: the kernel would silently see less of it. */
function cString(text: string): Uint8Array {
  if (text.includes('\0')) throw new TypeError(`NUL in ${JSON.stringify(text)}`);
  return new TextEncoder().encode(`${text}\0`);
}
