// SPDX-License-Identifier: Apache-2.0
/**
 * Network namespaces, named ones where `ip netns` keeps them.
 *
 * Invariants: setns moves the calling thread alone, so work inside a namespace is synchronous. What libuv's pool does
 *             (fs.promises, dns) runs outside, whatever the caller thinks; `server.listen(port, host)` binds later and
 *             thus outside: make the descriptor inside (socket.ts) and listen on that.
 *             A netlink socket, a child and a Worker made inside stay inside.
 */
import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import { access, closeSync, fstatSync, mkdirSync, openSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { Worker, type WorkerOptions } from 'node:worker_threads';
import {
  AlreadyExistsError,
  InvalidError,
  KernelError,
  NotFoundError,
  UnavailableError,
} from '../lib/errors.ts';
import { CLONE_NEWNET, EINVAL, ENOENT, MNT_DETACH, MS_BIND, O_RDONLY } from './sys/constants.ts';
import type { Fd } from './sys/fd.ts';
import { sys } from './sys/open.ts';

const directory = '/run/netns';
/** The thread's own: /proc/self would be the main thread's, also in a Worker. */
const currentPath = '/proc/thread-self/ns/net';

// The first use of libuv's pool starts its threads; started inside a namespace they would stay there for ever.
access('/', () => {});

/** An open reference: the namespace lives as long as it, and the descriptor is closed by `close`. */
export class NetNs implements Disposable {
  readonly fd: Fd;

  private constructor(fd: Fd) {
    this.fd = fd;
  }

  /** @throws {NotFoundError} */
  static open(name: string): NetNs {
    try {
      return NetNs.ofPath(netnsPath(name));
    } catch (error) {
      if (error instanceof KernelError && error.errno === ENOENT) {
        throw new NotFoundError(`cannot open network namespace ${name}: it does not exist`, { cause: error });
      }
      throw error;
    }
  }

  /** @param path - a bind mount, or `/proc/PID/ns/net`, as a container runtime gives it. @throws {KernelError} */
  static ofPath(path: string): NetNs {
    return new NetNs(sys.open(path, O_RDONLY));
  }

  static ofProcess(pid: number): NetNs {
    return NetNs.ofPath(`/proc/${pid}/ns/net`);
  }

  /** Of the calling thread. */
  static current(): NetNs {
    return NetNs.ofPath(currentPath);
  }

  /** One without a name: it goes when the last descriptor, socket and child in it go. */
  static anonymous(): NetNs {
    using home = NetNs.current();
    sys.unshare(CLONE_NEWNET);
    try {
      return NetNs.current();
    } finally {
      sys.setns(home.fd, CLONE_NEWNET);
    }
  }

  /** Tells namespaces apart: equal for two references to the same one. */
  get inode(): number {
    return fstatSync(this.fd.number).ino;
  }

  /**
   * Runs `fn` on this thread with its network namespace changed.
   *
   * @throws {TypeError} when `fn` returns a promise: what follows its first await would run outside.
   */
  run<T>(fn: () => T): T {
    using home = NetNs.current();
    sys.setns(this.fd, CLONE_NEWNET);
    try {
      const result = fn();
      if (isThenable(result))
        throw new TypeError('a function run in a network namespace must be synchronous');
      return result;
    } finally {
      sys.setns(home.fd, CLONE_NEWNET);
    }
  }

  /** A child that lives in the namespace; unlike under `ip netns exec`, host mounts stay as they are. */
  spawn(command: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    return this.run(() => spawn(command, [...args], options));
  }

  /** A thread that lives in the namespace. */
  worker(url: URL, options: WorkerOptions = {}): Worker {
    return this.run(() => new Worker(url, options));
  }

  close(): void {
    this.fd.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Runs `fn` inside the namespace of that name, or inside an open one. */
export function withNetns<T>(netns: NetNs | string, fn: () => T): T {
  if (typeof netns !== 'string') return netns.run(fn);
  using opened = NetNs.open(netns);
  return opened.run(fn);
}

/** @throws {AlreadyExistsError} {InvalidError} {KernelError} Leaves nothing behind when it fails. */
export function createNetns(name: string): NetNs {
  const path = netnsPath(name);
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  claimFile(name, path);
  try {
    const netns = NetNs.anonymous();
    netns.run(() => sys.mount(currentPath, path, 'none', MS_BIND));
    return netns;
  } catch (error) {
    rmSync(path);
    throw error;
  }
}

/** The name goes at once; the namespace itself when nothing uses it. @throws {NotFoundError} */
export function removeNetns(name: string): void {
  const path = netnsPath(name);
  try {
    sys.umount(path, MNT_DETACH);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    if (error.errno === ENOENT) {
      throw new NotFoundError(`cannot remove network namespace ${name}: it does not exist`, { cause: error });
    }
    if (error.errno !== EINVAL) throw error; // EINVAL: nothing mounted, a creation that was cut short
  }
  try {
    rmSync(path, { force: true });
  } catch (error) {
    removeCovered(name, path, error);
  }
}

/**
 * `ip netns add` makes the folder a mount point of its own (iproute2, create_netns_dir) and so copies the mounts in it: the
 * lower ones can no longer be reached, and keep name and namespace alive. Where only the copies of a mount namespace of its own
 * are in the way, removing the file takes them away everywhere (vfs_unlink, detach_mounts).
 */
function removeCovered(name: string, path: string, cause: unknown): void {
  const script = 'until rm -f "$1"; do umount -l "$1" || umount -l "$0" || exit; done 2>/dev/null';
  const command = ['-m', '--propagation', 'private', 'sh', '-c', script, directory, path];
  if (spawnSync('unshare', command).status === 0) return;
  throw new UnavailableError(`cannot remove network namespace ${name}: ${path} is in use`, { cause });
}

/** Where names stand, if none does any more: `ip netns` makes it anew. Left alone while it is in use, or a mount point. */
export function removeNetnsFolder(): void {
  try {
    rmdirSync(directory);
  } catch (error) {
    if (!['ENOENT', 'ENOTEMPTY', 'EBUSY'].some((code) => isNodeError(error, code))) throw error;
  }
}

/** Names, sorted. */
export function listNetns(): string[] {
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    if (isNodeError(error, 'ENOENT')) return [];
    throw error;
  }
}

function netnsPath(name: string): string {
  if (!/^[^/\s\0]{1,255}$/.test(name) || name === '.' || name === '..') {
    throw new InvalidError(`network namespace ${JSON.stringify(name)}: want a file name without white space`);
  }
  return `${directory}/${name}`;
}

function claimFile(name: string, path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0));
  } catch (error) {
    if (!isNodeError(error, 'EEXIST')) throw error;
    throw new AlreadyExistsError(`cannot create network namespace ${name}: it exists`, { cause: error });
  }
}

function isNodeError(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

function isThenable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
