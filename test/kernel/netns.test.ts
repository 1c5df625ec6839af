// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, readlinkSync, rmdirSync } from 'node:fs';
import { readlink } from 'node:fs/promises';
import { enableForwarding, hardenInterface } from '../../src/kernel/harden.ts';
import { createNetns, listNetns, NetNs, removeNetns, withNetns } from '../../src/kernel/netns.ts';
import { Rtnetlink } from '../../src/kernel/rtnetlink/rtnetlink.ts';
import {
  connectTcp,
  decodeEchoReply,
  echoRequest,
  encodeAddress,
  listenTcp,
  localAddress,
  openIcmp,
  socketError,
} from '../../src/kernel/socket.ts';
import { POLLIN, POLLOUT } from '../../src/kernel/sys/constants.ts';
import { sys } from '../../src/kernel/sys/open.ts';
import { readSysctl } from '../../src/kernel/sysctl.ts';
import { parseAddress } from '../../src/lib/address.ts';
import type { IfName } from '../../src/lib/brand.ts';
import { AlreadyExistsError, InvalidError, NotFoundError } from '../../src/lib/errors.ts';
import { type Rig, rootTest } from './root-test.ts';

const current = () => readlinkSync('/proc/thread-self/ns/net');
const own = 'muslin-test-';

/** Gone with the test, with the directory if it was not there. */
function named(rig: Rig, suffix: string): NetNs {
  const name = `${own}${process.pid}-${suffix}`;
  const existed = existsSync('/run/netns');
  const netns = createNetns(name);
  rig.use({
    [Symbol.dispose]() {
      netns.close();
      if (listNetns().includes(name)) removeNetns(name);
      if (!existed) rmdirSync('/run/netns');
    },
  });
  return netns;
}

function loopbackUp(netns: NetNs): void {
  netns.run(() => {
    using rt = Rtnetlink.open();
    rt.links.set(rt.links.get('lo')?.index ?? 0, { up: true });
  });
}

rootTest('a named namespace is made, found by ip, opened again and removed without trace', async (rig) => {
  const netns = named(rig, 'a');
  const name = `${own}${process.pid}-a`;
  assert.notEqual(`net:[${netns.inode}]`, current());
  assert.ok(listNetns().includes(name));
  assert.throws(() => createNetns(name), AlreadyExistsError);
  using again = NetNs.open(name);
  assert.equal(again.inode, netns.inode);
  const ip = netns.spawn('ip', ['netns', 'identify'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const chunks: unknown[] = [];
  ip.stdout?.on('data', (chunk) => chunks.push(chunk));
  await once(ip, 'close');
  assert.equal(chunks.join('').trim(), name);
  removeNetns(name);
  assert.ok(!listNetns().includes(name));
  assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes(name));
  assert.throws(() => NetNs.open(name), NotFoundError);
  assert.throws(() => removeNetns(name), NotFoundError);
});

/** In a mount namespace of its own, for others use the folder meanwhile. */
const coverAndRemove = `
  import { execFileSync } from 'node:child_process';
  import { mkdirSync, readFileSync } from 'node:fs';
  import { createNetns, listNetns, removeNetns } from '${new URL('../../src/kernel/netns.ts', import.meta.url)}';
  mkdirSync('/run/netns', { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', 'none', '/run/netns']);
  for (const name of ['covered', 'other']) createNetns(name).close();
  execFileSync('mount', ['--rbind', '/run/netns', '/run/netns']);
  removeNetns('covered');
  const mounts = (name) => readFileSync('/proc/self/mountinfo', 'utf8').split('/' + name + ' ').length - 1;
  console.log(listNetns().join(), mounts('covered'), mounts('other'));
`;

rootTest('a namespace is removed whole after `ip netns` made its folder a mount point', () => {
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', '--input-type=module'];
  const arguments_ = ['-m', '--propagation', 'private', ...node, '-e', coverAndRemove];
  const { stdout, stderr } = spawnSync('unshare', arguments_, { encoding: 'utf8' });
  assert.equal(stdout, 'other 0 2\n', stderr);
});

rootTest('names that are no file names are refused', () => {
  for (const name of ['', '.', '..', 'a/b', 'a b', 'x'.repeat(256)]) {
    assert.throws(() => createNetns(name), InvalidError);
  }
});

rootTest(
  'work inside comes back home: after a return, a throw, a nested visit and a refused promise',
  (rig) => {
    const [a, b] = [rig.netns(), rig.netns()];
    const home = current();
    assert.equal(a.run(current), `net:[${a.inode}]`);
    assert.equal(current(), home);
    assert.throws(() => withNetns(a, () => assert.fail('inside')), /inside/);
    assert.equal(current(), home);
    const nested = a.run(() => [b.run(current), current()]);
    assert.deepEqual(nested, [`net:[${b.inode}]`, `net:[${a.inode}]`]);
    assert.throws(() => a.run(async () => {}), TypeError);
    assert.equal(current(), home);
  },
);

rootTest("the threads of libuv's pool stay at home, even if first used inside", async (rig) => {
  const netns = rig.netns();
  const home = current();
  let inside: Promise<string> = Promise.resolve('');
  netns.run(() => {
    inside = readlink('/proc/thread-self/ns/net');
  });
  assert.equal(await inside, home);
});

rootTest('a child and a worker made inside live inside', async (rig) => {
  const netns = rig.netns();
  const child = netns.spawn('readlink', ['/proc/self/ns/net'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const chunks: unknown[] = [];
  child.stdout?.on('data', (chunk) => chunks.push(chunk));
  await once(child, 'close');
  assert.equal(chunks.join('').trim(), `net:[${netns.inode}]`);

  const source = `import { readlinkSync } from 'node:fs'; import { parentPort } from 'node:worker_threads';
    parentPort.postMessage(readlinkSync('/proc/thread-self/ns/net'));`;
  const worker = netns.worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`));
  const [message] = await once(worker, 'message');
  assert.equal(message, `net:[${netns.inode}]`);
  await worker.terminate();
});

rootTest('sockets made inside stay inside: one poll probes several namespaces', (rig) => {
  const spaces = [rig.netns(), rig.netns()];
  for (const netns of spaces) loopbackUp(netns);
  const at = { address: parseAddress('127.0.0.1'), port: 8080 };
  const servers = spaces.map((netns) => rig.use(netns.run(() => listenTcp(at))));
  const clients = spaces.map((netns) => rig.use(netns.run(() => connectTcp(at).fd)));
  for (const fd of clients) {
    assert.notEqual(sys.poll([{ fd, events: POLLOUT }], 5000)[0], 0);
    assert.equal(socketError(fd), 0);
  }
  for (const server of servers) rig.use(sys.accept(server) ?? assert.fail('no connection'));
  assert.equal(localAddress(servers[1] ?? assert.fail()).port, 8080);
});

rootTest('ICMP echo is answered in both families', (rig) => {
  const netns = rig.netns();
  loopbackUp(netns);
  for (const [family, address] of [
    [4, '127.0.0.1'],
    [6, '::1'],
  ] as const) {
    using fd = netns.run(() => openIcmp(family));
    sys.send(fd, echoRequest(family, 77, 3), 0, encodeAddress({ address: parseAddress(address), port: 0 }));
    let reply: ReturnType<typeof decodeEchoReply> = null;
    for (const into = new Uint8Array(256); !reply; ) {
      assert.notEqual(sys.poll([{ fd, events: POLLIN }], 5000)[0], 0, `no answer from ${address}`);
      reply = decodeEchoReply(family, into.subarray(0, sys.recv(fd, into) ?? 0));
    }
    assert.deepEqual(reply, { id: 77, seq: 3 });
  }
});

rootTest('hardening reaches names with dots, and writes nothing the second time', (rig) => {
  const netns = rig.netns();
  const name = 'cali.x' as IfName;
  netns.run(() => {
    using rt = Rtnetlink.open();
    rt.links.createVeth({ name }, { name: 'peer' });
    assert.ok(hardenInterface(name) > 0);
    assert.equal(hardenInterface(name), 0);
    assert.equal(readSysctl(['net', 'ipv4', 'conf', name, 'rp_filter']), '1');
    assert.equal(readSysctl(['net', 'ipv6', 'conf', name, 'accept_ra']), '0');
    assert.equal(enableForwarding(), true);
    assert.equal(enableForwarding(), false);
  });
  assert.equal(
    netns.run(() => readSysctl(['net', 'ipv6', 'conf', 'all', 'forwarding'])),
    '1',
  );
});
