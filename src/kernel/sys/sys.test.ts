// SPDX-License-Identifier: Apache-2.0
/** What needs no root: UDP on loopback, files, descriptors, event loop. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { parseAddress } from '../../lib/address.ts';
import { InvalidError, KernelError } from '../../lib/errors.ts';
import { bindUdp, encodeAddress, localAddress } from '../socket.ts';
import { ENOENT, MSG_TRUNC, O_RDONLY, O_RDWR, POLLIN } from './constants.ts';
import { openFds } from './fd.ts';
import { openSys, sys } from './open.ts';

const loopback = { address: parseAddress('127.0.0.1'), port: 0 };

test('a refused call throws its errno and says what was refused', () => {
  assert.throws(
    () => sys.open('/no/such/file', O_RDONLY),
    (error) =>
      error instanceof KernelError &&
      error.errno === ENOENT &&
      /open \/no\/such\/file: .*ENOENT/.test(error.message),
  );
});

test('a path with a NUL is refused before the kernel sees half of it', () => {
  assert.throws(() => sys.open('/etc\0/passwd', O_RDONLY), TypeError);
});

test('an unknown back end is refused', async () => {
  await assert.rejects(openSys('libffi'), InvalidError);
});

test('descriptors are counted, closed once, and dead afterwards', () => {
  const before = openFds();
  const fd = sys.open('/dev/null', O_RDONLY);
  const copy = sys.dup(fd);
  assert.equal(openFds(), before + 2);
  assert.notEqual(copy.number, fd.number);
  fd.close();
  fd.close();
  copy[Symbol.dispose]();
  assert.equal(openFds(), before);
  assert.throws(() => fd.number, TypeError);
});

test('a socket with nothing to read answers null; parts of buffers are respected; MSG_TRUNC tells the whole length', () => {
  using socket = bindUdp(loopback);
  const into = new Uint8Array(8);
  assert.equal(sys.recv(socket, into), null);
  assert.deepEqual(sys.poll([{ fd: socket, events: POLLIN }], 0), [0]);
  const me = localAddress(socket);
  sys.send(socket, Uint8Array.of(9, 9, 1, 2, 3).subarray(2), 0, encodeAddress(me));
  assert.deepEqual(sys.poll([{ fd: socket, events: POLLIN }], 1000), [POLLIN]);
  const from = new Uint8Array(16);
  assert.equal(sys.recv(socket, into.subarray(4, 6), MSG_TRUNC, from), 3);
  assert.deepEqual(into, Uint8Array.of(0, 0, 0, 0, 1, 2, 0, 0));
  assert.deepEqual(from, encodeAddress(me));
});

test('a watch calls back when there is something to read, drains promises, and stops when disposed', async () => {
  using socket = bindUdp(loopback);
  const me = encodeAddress(localAddress(socket));
  const seen = await new Promise<number>((resolve) => {
    const watch = sys.watch(socket, () => {
      const length = sys.recv(socket, new Uint8Array(8));
      watch[Symbol.dispose]();
      watch[Symbol.dispose]();
      void Promise.resolve(length ?? -1).then(resolve); // hung on Node 26 when called straight from libuv
    });
    sys.send(socket, Uint8Array.of(1, 2), 0, me);
  });
  assert.equal(seen, 2);
  sys.send(socket, Uint8Array.of(1), 0, me);
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(sys.recv(socket, new Uint8Array(8)), 1, 'left for others');
});

test('a watch works on a worker thread, and does not hinder its end', async () => {
  const source = `
    const { parentPort } = require('node:worker_threads');
    (async () => {
      const { sys } = await import('${new URL('./open.ts', import.meta.url).href}');
      const { bindUdp, encodeAddress, localAddress } = await import('${new URL('../socket.ts', import.meta.url).href}');
      const socket = bindUdp({ address: '127.0.0.1', port: 0 });
      sys.watch(socket, () => parentPort.postMessage(sys.recv(socket, new Uint8Array(8))));
      sys.send(socket, Uint8Array.of(1, 2, 3), 0, encodeAddress(localAddress(socket)));
    })();`;
  const worker = new Worker(source, { eval: true });
  const message = await new Promise((resolve, reject) =>
    worker.once('message', resolve).once('error', reject),
  );
  assert.equal(message, 3);
  assert.equal(await worker.terminate(), 1);
});

test('a mapping shows the file in place, and nothing any more once it is gone', () => {
  const path = join(mkdtempSync(join(tmpdir(), 'muslin-mmap-')), 'file');
  writeFileSync(
    path,
    Uint8Array.from({ length: 8192 }, (_, i) => i >> 8),
  );
  {
    using fd = sys.open(path, O_RDWR);
    using read = sys.mmap(fd, 4096, 4096, 'read');
    assert.deepEqual([read.bytes.length, read.bytes[0], read.bytes[4095]], [4096, 16, 31]);
    using write = sys.mmap(fd, 8192, 0, 'write');
    write.bytes[4096] = 99;
    assert.equal(read.bytes[0], 99, 'the same memory');
    write[Symbol.dispose]();
    assert.equal(write.bytes.length, 0);
    assert.throws(() => sys.mmap(fd, 4096, 1, 'read'), KernelError);
  }
  assert.equal(readFileSync(path)[4096], 99);
  rmSync(dirname(path), { recursive: true });
});

test('addresses of memory lead to the very bytes', () => {
  const bytes = new Uint8Array(16);
  assert.equal(sys.addressOf(bytes.subarray(5)) - sys.addressOf(bytes), 5n);
});
