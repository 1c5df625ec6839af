// SPDX-License-Identifier: Apache-2.0
/** libc by koffi: prebuilt for glibc and musl, no install script. The default. */
import koffi from 'koffi';
import { type CType, type Libc, type LibcFunctions, libcSignatures, type RawWatch } from './libc.ts';

const koffiTypes: { readonly [T in CType]: string } = { int: 'int', long: 'int64_t', bytes: 'void *' };

export function openKoffi(): Libc {
  const library = koffi.load(null); // null: the process itself, whose libc is loaded already
  const bound = Object.entries(libcSignatures).map(([name, [result, ...args]]) => [
    name,
    library.func(
      name,
      koffiTypes[result],
      args.map((arg) => koffiTypes[arg]),
    ),
  ]);
  return {
    backend: 'koffi',
    call: Object.fromEntries(bound) as LibcFunctions, // the table above is what makes this true
    errno: () => koffi.errno(),
    addressOf: (bytes) => koffi.address(bytes),
    view: (address, length) => koffi.view(BigInt(address), length),
    watch,
  };
}

/** koffi's uv_poll on the event loop of this environment: main thread and workers alike. */
function watch(fd: number, onNotice: (stopped: boolean) => void): RawWatch {
  // koffi 3.3.4 passes libuv's status first; its typings do not say so.
  const onPoll = (status: unknown) => onNotice(status !== 0);
  const handle = koffi.node.poll(fd, { readable: true }, onPoll);
  return {
    rearm: () => handle.start({ readable: true }, onPoll),
    [Symbol.dispose]: () => handle.close(),
  };
}
