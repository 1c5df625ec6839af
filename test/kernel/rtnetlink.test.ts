// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import type { NetNs } from '../../src/kernel/netns.ts';
import type { RouteSpec } from '../../src/kernel/rtnetlink/routes.ts';
import { Rtnetlink } from '../../src/kernel/rtnetlink/rtnetlink.ts';
import { type RouteEvent, watchRoutes } from '../../src/kernel/rtnetlink/watch.ts';
import { EEXIST, ENETUNREACH, ENODEV } from '../../src/kernel/sys/constants.ts';
import { parseAddress } from '../../src/lib/address.ts';
import { parseCidr } from '../../src/lib/cidr.ts';
import { KernelError } from '../../src/lib/errors.ts';
import { type Rig, rootTest, until } from './root-test.ts';

function openIn(rig: Rig, netns: NetNs = rig.netns()): { netns: NetNs; rt: Rtnetlink } {
  return { netns, rt: rig.use(netns.run(() => Rtnetlink.open())) };
}

/** A namespace with a veth that carries packets: `a` here, `b` there. */
function wired(rig: Rig) {
  const here = openIn(rig);
  const there = openIn(rig);
  const a = here.rt.links.createVeth({ name: 'a' }, { name: 'b', netns: there.netns });
  const b = there.rt.links.get('b');
  assert.ok(b);
  here.rt.links.set(a.index, { up: true });
  there.rt.links.set(b.index, { up: true });
  return { here, there, a, b };
}

rootTest('a veth is born with its peer in another namespace', (rig) => {
  const here = openIn(rig);
  const there = openIn(rig);
  const end = { name: 'cali.0', mac: 'ee:ee:ee:ee:ee:ee', mtu: 1400 };
  const link = here.rt.links.createVeth(end, { name: 'eth0', mtu: 1400, netns: there.netns });
  assert.deepEqual(
    [link.name, link.mac, link.mtu, link.kind, link.up],
    ['cali.0', end.mac, 1400, 'veth', false],
  );
  const peer = there.rt.links.get('eth0');
  assert.equal(peer?.index, link.peer);
  assert.equal(here.rt.links.get('eth0'), null);
  assert.equal(here.rt.links.getByIndex(link.index)?.name, 'cali.0');
});

rootTest('a link changes its state, name, MTU, MAC and bridge, and goes', (rig) => {
  const { rt } = openIn(rig);
  const link = rt.links.createVeth({ name: 'a' }, { name: 'b' });
  const bridge = rt.links.createBridge({ name: 'br0' });
  rt.links.set(link.index, { mtu: 1300, mac: '02:00:00:00:00:01', master: bridge.index });
  rt.links.set(link.index, { name: 'c' });
  rt.links.set(link.index, { up: true });
  const { name, mtu, mac, master, up } = rt.links.get('c') ?? link;
  assert.deepEqual(
    { name, mtu, mac, master, up },
    { name: 'c', mtu: 1300, mac: '02:00:00:00:00:01', master: bridge.index, up: true },
  );
  rt.links.set(link.index, { master: 0 });
  assert.equal(rt.links.get('c')?.master, null);
  assert.equal(rt.links.get('br0')?.kind, 'bridge');
  assert.equal(rt.links.delete(link.index), true);
  assert.equal(rt.links.delete(link.index), false);
  assert.deepEqual(
    rt.links.list().map((row) => row.name),
    ['lo', 'br0'],
  );
});

rootTest('a link moves to another namespace', (rig) => {
  const here = openIn(rig);
  const there = openIn(rig);
  const link = here.rt.links.createVeth({ name: 'a' }, { name: 'b' });
  here.rt.links.set(link.index, { netns: there.netns });
  assert.equal(here.rt.links.get('a'), null);
  assert.equal(there.rt.links.get('a')?.kind, 'veth');
});

rootTest("refusals carry errno and the kernel's words", (rig) => {
  const { rt } = openIn(rig);
  rt.links.createBridge({ name: 'br0' });
  assert.throws(
    () => rt.links.createBridge({ name: 'br0' }),
    (error) => error instanceof KernelError && error.errno === EEXIST,
  );
  assert.throws(
    () => rt.links.set(999, { up: true }),
    (error) => error instanceof KernelError && error.errno === ENODEV,
  );
  const [failure] = rt.routes.replace([
    { dst: parseCidr('10.0.0.0/8'), protocol: 80, gateway: parseAddress('192.0.2.1') },
  ]);
  assert.equal(failure?.error.errno, ENETUNREACH);
  assert.match(failure?.error.message ?? '', /Nexthop has invalid gateway/);
});

rootTest(
  'addresses of both families are added, listed and deleted; IPv6 without DAD is usable at once',
  (rig) => {
    const { here, a } = wired(rig);
    const { addresses } = here.rt;
    const specs = [
      { index: a.index, address: parseAddress('10.1.2.3'), prefixLength: 24 },
      { index: a.index, address: parseAddress('fd00::1'), noDad: true },
    ];
    for (const spec of [...specs, ...specs]) addresses.replace(spec);
    const own = addresses.list({ index: a.index }).filter((row) => row.scope === 0);
    assert.deepEqual(
      own.map((row) => [row.address, row.prefixLength, row.tentative]),
      [
        ['10.1.2.3', 24, false],
        ['fd00::1', 128, false],
      ],
    );
    assert.deepEqual(
      addresses.list({ index: a.index, family: 4 }).map((row) => row.address),
      ['10.1.2.3'],
    );
    for (const spec of specs)
      assert.deepEqual([addresses.delete(spec), addresses.delete(spec)], [true, false]);
    assert.deepEqual(addresses.list({ index: a.index, family: 4 }), []);
  },
);

rootTest('routes of both families read back as written', (rig) => {
  const { here, a } = wired(rig);
  const { rt } = here;
  rt.addresses.replace({ index: a.index, address: parseAddress('10.0.0.1') });
  const common = { type: 'unicast', table: 254, protocol: 80, scope: 0, priority: 0 } as const;
  const four = [
    {
      ...common,
      dst: parseCidr('0.0.0.0/0'),
      oif: a.index,
      gateway: parseAddress('169.254.1.1'),
      onlink: true,
    },
    { ...common, dst: parseCidr('10.9.0.0/16'), type: 'blackhole' },
    {
      ...common,
      dst: parseCidr('10.9.9.9/32'),
      oif: a.index,
      scope: 253,
      source: parseAddress('10.0.0.1'),
      mtu: 1400,
    },
    { ...common, dst: parseCidr('10.8.0.0/16'), oif: a.index, table: 1000, priority: 7, scope: 253 },
    {
      ...common,
      dst: parseCidr('10.7.0.0/16'),
      oif: a.index,
      gateway: parseAddress('fe80::1'),
      onlink: true,
    },
    {
      ...common,
      dst: parseCidr('10.6.0.0/16'),
      nextHops: [
        { oif: a.index, gateway: parseAddress('10.0.0.2'), onlink: true, weight: 1 },
        { oif: a.index, gateway: parseAddress('10.0.0.3'), onlink: true, weight: 5 },
      ],
    },
  ] as const;
  assert.deepEqual(rt.routes.replace(four), []);
  const byDst = (x: { dst: string }, y: { dst: string }) => (x.dst < y.dst ? -1 : 1);
  assert.deepEqual(rt.routes.list(4, { protocol: 80 }).sort(byDst), [...four].sort(byDst));
  assert.deepEqual(
    rt.routes.list(4, { table: 1000 }).map((route) => route.dst),
    ['10.8.0.0/16'],
  );

  const six = {
    ...common,
    dst: parseCidr('fd01::/64'),
    oif: a.index,
    gateway: parseAddress('fe80::2'),
    priority: 1024,
  };
  assert.deepEqual(rt.routes.replace([six, { ...six, gateway: parseAddress('fe80::3') }]), []);
  assert.deepEqual(rt.routes.list(6, { protocol: 80 }), [{ ...six, gateway: 'fe80::3' }]);
  assert.deepEqual(
    rt.routes.delete([six, ...four]).map(({ route }) => route.dst),
    [],
  );
  assert.deepEqual([...rt.routes.list(4, { protocol: 80 }), ...rt.routes.list(6, { protocol: 80 })], []);
});

rootTest('a batch of thousands of routes goes in, and each refused one is named', (rig) => {
  const { here, a } = wired(rig);
  const { routes } = here.rt;
  const specs: RouteSpec[] = [];
  for (let i = 0; i < 3000; i++)
    specs.push({
      dst: parseCidr(`10.${i >> 8}.${i & 255}.1`),
      protocol: 80,
      oif: i % 1000 === 999 ? 4242 : a.index,
    });
  const failures = routes.replace(specs);
  assert.deepEqual(
    failures.map(({ route }) => route.dst),
    ['10.3.231.1/32', '10.7.207.1/32', '10.11.183.1/32'],
  );
  assert.ok(failures.every(({ error }) => error.errno === ENODEV));
  assert.equal(routes.list(4, { protocol: 80 }).length, 2997);
  assert.deepEqual(routes.delete(specs), []);
  assert.equal(routes.list(4, { protocol: 80 }).length, 0);
  assert.deepEqual(routes.delete([{ dst: parseCidr('10.0.0.1'), protocol: 80 }]), []);
});

rootTest('a delete spares the route of another protocol', (rig) => {
  const { here, a } = wired(rig);
  const dst = parseCidr('10.0.0.0/24');
  here.rt.routes.replace([{ dst, protocol: 4, oif: a.index }]);
  assert.deepEqual(here.rt.routes.delete([{ dst, protocol: 80 }]), []);
  assert.equal(here.rt.routes.list(4, { protocol: 4 }).length, 1);
});

rootTest('permanent neighbours of both families are set, replaced and deleted', (rig) => {
  const { here, a } = wired(rig);
  const { neighbours } = here.rt;
  for (const address of [parseAddress('169.254.1.1'), parseAddress('fe80::1')]) {
    neighbours.replacePermanent({ index: a.index, address, mac: '02:00:00:00:00:01' });
    neighbours.replacePermanent({ index: a.index, address, mac: '02:00:00:00:00:02' });
    const rows = neighbours.list({ index: a.index }).filter((row) => row.address === address);
    assert.deepEqual(rows, [{ index: a.index, address, mac: '02:00:00:00:00:02', state: 'permanent' }]);
    assert.deepEqual(
      [neighbours.delete({ index: a.index, address }), neighbours.delete({ index: a.index, address })],
      [true, false],
    );
  }
});

rootTest('a watcher hears of links, addresses, routes and neighbours', async (rig) => {
  const { netns, rt } = openIn(rig);
  const events: RouteEvent[] = [];
  rig.use(
    netns.run(() =>
      watchRoutes({
        kinds: ['link', 'address', 'route', 'neighbour'],
        onEvent: (event) => events.push(event),
        onOverflow: () => assert.fail('overflow'),
      }),
    ),
  );
  const link = rt.links.createVeth({ name: 'a' }, { name: 'b' });
  rt.links.set(link.index, { up: true });
  rt.links.set(rt.links.get('b')?.index ?? 0, { up: true });
  rt.addresses.replace({ index: link.index, address: parseAddress('10.0.0.1') });
  rt.routes.replace([{ dst: parseCidr('10.1.0.0/16'), protocol: 80, oif: link.index }]);
  rt.neighbours.replacePermanent({
    index: link.index,
    address: parseAddress('10.1.0.1'),
    mac: '02:00:00:00:00:02',
  });
  rt.links.delete(link.index);
  await until(
    () => events.some((event) => event.kind === 'link' && event.gone && event.row.name === 'a'),
    'the link to go',
  );
  const seen = (kind: RouteEvent['kind'], text: string) =>
    assert.ok(
      events.some((event) => event.kind === kind && JSON.stringify(event.row).includes(text)),
      `${kind} ${text}`,
    );
  seen('link', '"name":"a"');
  seen('address', '10.0.0.1');
  seen('route', '10.1.0.0/16');
  seen('neighbour', '10.1.0.1');
});

rootTest('leaving a bridge is not taken for the end of a link', async (rig) => {
  const { netns, rt } = openIn(rig);
  const events: RouteEvent[] = [];
  rig.use(
    netns.run(() =>
      watchRoutes({ kinds: ['link'], onEvent: (event) => events.push(event), onOverflow: () => {} }),
    ),
  );
  const bridge = rt.links.createBridge({ name: 'br0' });
  const link = rt.links.createVeth({ name: 'a' }, { name: 'b' });
  rt.links.set(link.index, { master: bridge.index });
  rt.links.set(link.index, { master: 0 });
  rt.links.set(link.index, { name: 'last' });
  await until(
    () => events.some((event) => event.kind === 'link' && event.row.name === 'last'),
    'the new name',
  );
  assert.deepEqual(
    events.filter((event) => event.gone),
    [],
  );
});

rootTest('a watcher whose queue overflows is told to list again, and then hears on', async (rig) => {
  const { netns, rt } = openIn(rig);
  let overflows = 0;
  const names: string[] = [];
  rig.use(
    netns.run(() =>
      watchRoutes({
        kinds: ['link'],
        onEvent: (event) => event.kind === 'link' && names.push(event.row.name),
        onOverflow: () => overflows++,
        receiveBuffer: 65536,
      }),
    ),
  );
  const bridge = rt.links.createBridge({ name: 'br0' });
  for (let i = 0; i < 200; i++) rt.links.set(bridge.index, { mtu: 1280 + i });
  await until(() => overflows > 0, 'the overflow');
  await new Promise((resolve) => setTimeout(resolve, 20));
  rt.links.set(bridge.index, { name: 'after' });
  await until(() => names.includes('after'), 'an event after the overflow');
});

rootTest(
  'what the kernel told already is heard at once, also more than one turn of the event loop takes',
  (rig) => {
    const { netns, rt } = openIn(rig);
    const mtus: number[] = [];
    const watcher = rig.use(
      netns.run(() =>
        watchRoutes({
          kinds: ['link'],
          onEvent: (event) => event.kind === 'link' && mtus.push(event.row.mtu),
          onOverflow: () => assert.fail('events were lost'),
        }),
      ),
    );
    const bridge = rt.links.createBridge({ name: 'br0' });
    for (let i = 0; i < 600; i++) rt.links.set(bridge.index, { mtu: 1280 + i });
    assert.deepEqual(mtus, []);
    watcher.hear();
    assert.equal(mtus.at(-1), 1280 + 599);
  },
);

rootTest('a namespace that never had a route has none', (rig) => {
  rig.netns().run(() => {
    using rt = Rtnetlink.open();
    assert.deepEqual(rt.routes.list(4, { table: 254, protocol: 80 }), []);
  });
});
