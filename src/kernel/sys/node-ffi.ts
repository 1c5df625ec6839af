// SPDX-License-Identifier: Apache-2.0
/** libc by node:ffi, built into Node 26. Chosen by MUSLIN_SYS=node-ffi. */
import { isMainThread } from 'node:worker_threads';
import { UnsupportedError } from '../../lib/errors.ts';
import { POLLIN } from './constants.ts';
import { type Bytes, type CType, type Libc, type LibcFunctions, libcSignatures } from './libc.ts';

type Argument = number | bigint | Uint8Array | null;
type Foreign = (...args: Argument[]) => number | bigint;

interface Signature {
  readonly return: string;
  readonly arguments: readonly string[];
}

/** The part of node:ffi used here; @types/node 24 does not know the module. See Node's doc/api/ffi.md. */
interface NodeFfi {
  readonly DynamicLibrary: new (
    path: string | null,
  ) => {
    getFunction(name: string, signature: Signature): Foreign;
    getSymbol(name: string): bigint;
    registerCallback(signature: Signature, callback: (...args: number[]) => void): bigint;
    unregisterCallback(pointer: bigint): void;
  };
  getInt32(pointer: bigint): number;
  getRawPointer(source: Uint8Array): bigint;
  toArrayBuffer(pointer: bigint, length: number, copy: boolean): ArrayBuffer;
  getCurrentEventLoop(): bigint;
}

const ffiTypes: { readonly [T in CType]: string } = { int: 'int32', long: 'int64', bytes: 'pointer' };
const UV_POLL = 8; // uv_handle_type, uv.h of libuv 1.x
const UV_READABLE = 1;
const workerPollMs = 5;

/** @throws {UnsupportedError} unless this Node carries node:ffi. */
export function openNodeFfi(): Libc {
  const ffi = process.getBuiltinModule('node:ffi' as 'node:os') as unknown as NodeFfi | undefined;
  if (!ffi)
    throw new UnsupportedError(`cannot use node:ffi: got Node ${process.version}, want 26.1 or newer`);
  const library = new ffi.DynamicLibrary(null);
  const bound = Object.entries(libcSignatures).map(([name, signature]) => {
    const [result, ...args] = signature;
    const foreign = library.getFunction(name, {
      return: ffiTypes[result],
      arguments: args.map((arg) => ffiTypes[arg]),
    });
    return [name, adapt(foreign, result, args)];
  });
  const call = Object.fromEntries(bound) as LibcFunctions; // the table of signatures is what makes this true
  const location = library.getFunction('__errno_location', { return: 'pointer', arguments: [] });
  const errnoPointer = BigInt(location()); // fixed for the life of the thread
  return {
    backend: 'node-ffi',
    call,
    errno: () => ffi.getInt32(errnoPointer),
    addressOf: (bytes) => ffi.getRawPointer(bytes),
    view: (address, length) => ffi.toArrayBuffer(BigInt(address), length, false),
    watch: isMainThread ? watcher(ffi, library) : timedWatcher(call),
  };
}

/** node:ffi wants every 64-bit value as a BigInt. */
function adapt(foreign: Foreign, result: CType, args: readonly CType[]): Foreign {
  const longs = args.flatMap((arg, i) => (arg === 'long' ? [i] : []));
  if (longs.length === 0 && result !== 'long') return foreign;
  return (...values: (number | bigint | Bytes)[]) => {
    for (const i of longs) values[i] = BigInt(values[i] as number);
    return Number(foreign(...values));
  };
}

/** The handle lives in malloc'd memory and its close callback is libc's free: nothing is left to JavaScript's timing. */
function watcher(ffi: NodeFfi, library: InstanceType<NodeFfi['DynamicLibrary']>): Libc['watch'] {
  const uv = (name: string, result: string, args: string[]) =>
    library.getFunction(name, { return: result, arguments: args });
  const malloc = uv('malloc', 'pointer', ['uint64']);
  const handleSize = uv('uv_handle_size', 'uint64', ['int32']);
  const pollInit = uv('uv_poll_init', 'int32', ['pointer', 'pointer', 'int32']);
  const pollStart = uv('uv_poll_start', 'int32', ['pointer', 'int32', 'pointer']);
  const close = uv('uv_close', 'void', ['pointer', 'pointer']);
  const free = library.getSymbol('free');
  const release = uv('free', 'void', ['pointer']);
  return (fd, onNotice) => {
    const handle = malloc(handleSize(UV_POLL));
    const failed = pollInit(ffi.getCurrentEventLoop(), handle, fd);
    if (failed !== 0) {
      release(handle);
      throw new UnsupportedError(`cannot watch descriptor ${fd}: uv_poll_init gave ${failed}`);
    }
    const callback = library.registerCallback(
      { return: 'void', arguments: ['pointer', 'int32', 'int32'] },
      (_handle, status) => onNotice(status !== 0),
    );
    pollStart(handle, UV_READABLE, callback);
    return {
      rearm: () => void pollStart(handle, UV_READABLE, callback),
      [Symbol.dispose]() {
        close(handle, free);
        setImmediate(() => library.unregisterCallback(callback)); // it may be running now, and must not then
      },
    };
  };
}

/**
 * For workers: Node aborts the whole process when a worker is terminated whose loop holds a handle that Node does not
 * know (CheckedUvLoopClose in src/debug_utils.cc), and nothing of ours runs before. So look every few milliseconds.
 */
function timedWatcher(call: LibcFunctions): Libc['watch'] {
  return (fd, onNotice) => {
    const pollfd = new Uint8Array(8); // struct pollfd: int fd, short events, short revents
    const view = new DataView(pollfd.buffer);
    view.setInt32(0, fd, true);
    view.setInt16(4, POLLIN, true);
    const timer = setInterval(() => {
      if (call.poll(pollfd, 1, 0) > 0) onNotice(false);
    }, workerPollMs);
    return { rearm: () => {}, [Symbol.dispose]: () => clearInterval(timer) };
  };
}
