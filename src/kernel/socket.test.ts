// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { parseAddress } from '../lib/address.ts';
import {
  bindUdp,
  connectTcp,
  connectUdp,
  decodeAddress,
  decodeEchoReply,
  echoRequest,
  encodeAddress,
  listenTcp,
  localAddress,
  socketError,
} from './socket.ts';
import { ECONNREFUSED, POLLIN, POLLOUT } from './sys/constants.ts';
import { sys } from './sys/open.ts';

const any6 = { address: parseAddress('::'), port: 0 };
const loopback4 = parseAddress('127.0.0.1');
const loopback6 = parseAddress('::1');

test('addresses of both families survive the way to the kernel and back', () => {
  for (const at of [
    { address: parseAddress('192.0.2.1'), port: 65535 },
    { address: parseAddress('fd00::1'), port: 1 },
  ]) {
    assert.deepEqual(decodeAddress(encodeAddress(at)), at);
  }
});

test('a Node server listens on a descriptor made here, in both families', async () => {
  const listening = listenTcp(any6);
  const { port } = localAddress(listening);
  const server = createServer((socket) => socket.end('hello'));
  server.listen({ fd: listening.release() });
  await once(server, 'listening');
  for (const host of [loopback4, loopback6]) {
    const client = connect({ host, port });
    const [data] = await once(client, 'data');
    assert.equal(String(data), 'hello');
    client.destroy();
  }
  server.close();
  await once(server, 'close');
});

test('a Node datagram socket takes a descriptor made here, in both families', async () => {
  const bound = bindUdp(any6);
  const { port } = localAddress(bound);
  const server = createSocket('udp6');
  server.bind({ fd: bound.release() }); // at once, on the same descriptor
  for (const address of [loopback4, loopback6]) {
    using client = connectUdp({ address, port });
    sys.send(client, Uint8Array.of(7));
    const [message] = await once(server, 'message');
    assert.deepEqual([...message], [7]);
  }
  server.close();
});

test('one poll waits for many connections: those accepted and those refused', () => {
  using open = listenTcp({ address: loopback4, port: 0 });
  const closedPort = (() => {
    using once = listenTcp({ address: loopback4, port: 0 });
    return localAddress(once).port;
  })();
  const ports = [localAddress(open).port, closedPort, localAddress(open).port];
  using stack = new DisposableStack();
  const sockets = ports.map((port) => stack.use(connectTcp({ address: loopback4, port }).fd));
  const errors = new Map<number, number>();
  while (errors.size < sockets.length) {
    const waiting = sockets.filter((fd) => !errors.has(fd.number));
    const ready = sys.poll(
      waiting.map((fd) => ({ fd, events: POLLOUT })),
      5000,
    );
    for (const [i, fd] of waiting.entries()) if (ready[i]) errors.set(fd.number, socketError(fd));
  }
  assert.deepEqual(
    sockets.map((fd) => errors.get(fd.number)),
    [0, ECONNREFUSED, 0],
  );
  assert.deepEqual(sys.poll([{ fd: open, events: POLLIN }], 1000), [POLLIN]);
  stack.use(sys.accept(open) ?? assert.fail('a connection waits'));
});

test('UDP to a closed port is told apart from silence', () => {
  using silent = bindUdp({ address: loopback4, port: 0 });
  using heard = connectUdp(localAddress(silent));
  sys.send(heard, Uint8Array.of(1));
  assert.equal(socketError(heard), 0);
  const closed = localAddress(silent).port;
  silent.close();
  using refused = connectUdp({ address: loopback4, port: closed });
  sys.send(refused, Uint8Array.of(1));
  sys.poll([{ fd: refused, events: POLLIN }], 1000);
  assert.equal(socketError(refused), ECONNREFUSED);
});

test('ICMP echo: the checksum is right, and only replies are taken for replies', () => {
  assert.deepEqual(
    echoRequest(4, 0x1234, 7).subarray(0, 8),
    Uint8Array.of(8, 0, 0xe5, 0xc4, 0x12, 0x34, 0, 7),
  ); // RFC 1071 by hand
  const ip = [0x46, ...new Array<number>(23).fill(0)]; // a header with one option word
  assert.deepEqual(decodeEchoReply(4, Uint8Array.of(...ip, 0, 0, 0, 0, 0x12, 0x34, 0, 7)), {
    id: 0x1234,
    seq: 7,
  });
  assert.equal(decodeEchoReply(4, Uint8Array.of(...ip, 8, 0, 0, 0, 0x12, 0x34, 0, 7)), null);
  assert.equal(decodeEchoReply(4, Uint8Array.of(...ip, 0, 0)), null);
  assert.deepEqual(decodeEchoReply(6, Uint8Array.of(129, 0, 0, 0, 0, 1, 0, 2)), { id: 1, seq: 2 });
});
