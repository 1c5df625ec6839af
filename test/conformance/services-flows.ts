// SPDX-License-Identifier: Apache-2.0
/** What becomes of packets that belong together: when a backend goes, when two want one port, by which way answers go. */
import assert from 'node:assert/strict';
import { decodeEchoReply, echoRequest, encodeAddress, openIcmp } from '../../src/kernel/socket.ts';
import { sys } from '../../src/kernel/sys/open.ts';
import { addressBytes, type Family, familyOf } from '../../src/lib/address.ts';
import type { Address } from '../../src/lib/brand.ts';
import { until } from '../kernel/root-test.ts';
import { contains, ip } from '../support/frames.ts';
import { calico } from '../support/oracle-cluster.ts';
import { PacketSocket } from '../support/packet-socket.ts';
import { probeBytes } from '../support/probe-bytes.ts';
import { askAll, inSeat } from '../support/service-ask.ts';
import { echoPort, type OpenDriver, type ServiceFabric } from '../support/service-rig.ts';
import { balanced, type ServiceCase, serviceSuite, settings } from '../support/service-suite.ts';
import { Datagrams, Talk } from '../support/service-talk.ts';

const families = [4, 6] as const;
const modes = ['Tunnel', 'DSR'] as const;
const byPackets = (mode: string) =>
  settings({ bpfConnectTimeLoadBalancing: 'Disabled', bpfExternalServiceMode: mode });
const natOutgoing = ['10.65.0.0/16', 'fd65::/16'].map((cidr, i) =>
  calico('IPPool', `pool${i}`, { cidr, natOutgoing: true }),
);

export function serviceFlows(name: string, open: OpenDriver): void {
  serviceSuite(`services ${name}, flows`, open, (it) => {
    cleanUp(it);
    conflicts(it);
    outgoing(it);
    maglev(it);
    returnPath(it);
    spread(it);
    restart(it);
  });
}

function at(fabric: ServiceFabric, name: string, port: number, family: Family) {
  return { address: fabric.address(name, family), port };
}

function cleanUp(it: ServiceCase): void {
  for (const mode of modes)
    for (const [client, target, port] of [
      ['a', 'cluster_moved', 80],
      ['n1', 'cluster_moved', 80],
      ['out', 'n1', 30081],
      ['out', 'n3', 30081],
      ['out', 'external_moved', 80],
    ] as const)
      it(`a UDP client that keeps sending meets the new backend at once: ${client} > ${target}, ${mode}`, async (fabric) => {
        for (const family of families) {
          using socket = Datagrams.open(fabric.seat(client), family);
          const met: string[] = [];
          for (const backend of ['b', 'a2', 'b2']) {
            await fabric.become(byPackets(mode), ...balanced(fabric, 'moved', 1, { to: { [backend]: {} } }));
            met.push((await socket.ask(at(fabric, target, port, family))).split(' ')[0] ?? '');
            met.push((await socket.ask(at(fabric, target, port, family))).split(' ')[0] ?? '');
          }
          assert.deepEqual(met, ['b', 'b', 'a2', 'a2', 'b2', 'b2'], `IPv${family}`);
        }
      });
}

function conflicts(it: ServiceCase): void {
  for (const mode of modes)
    for (const client of ['a', 'n1', 'out'])
      it(`two services with one backend, asked from one port: ${client}, ${mode}`, async (fabric) => {
        await fabric.become(
          byPackets(mode),
          ...balanced(fabric, 'one', 1, { to: { b: {} } }),
          ...balanced(fabric, 'two', 2, { to: { b: {} } }),
        );
        for (const family of families) {
          using socket = Datagrams.open(fabric.seat(client), family, 5555);
          const own = fabric.address(client, family);
          const both = async () => [
            await socket.ask(at(fabric, 'external_one', 80, family)),
            await socket.ask(at(fabric, 'external_two', 80, family)),
          ];
          const [one, two] = await both();
          assert.equal(one, `b sees ${own}:5555`);
          assert.match(two ?? '', new RegExp(`^b sees ${own}:2[0-9]{4}$`));
          assert.deepEqual(await both(), [one, two], 'and they stay so');
        }
      });
  for (const client of ['a', 'n1', 'n2']) // from outside no route leads to Pods
    it(`a service and its backend itself, talked with from one port at once: ${client}`, async (fabric) => {
      await fabric.become(byPackets('Tunnel'), ...balanced(fabric, 'one', 1, { to: { b: {} } }));
      for (const family of families)
        for (const [i, order] of [
          ['external_one', 'b'],
          ['b', 'external_one'],
        ].entries()) {
          using stack = new DisposableStack();
          const talks: Talk[] = [];
          for (const target of order) {
            const to = at(fabric, target, target === 'b' ? echoPort : 80, family);
            talks.push(stack.use(await Talk.open(fabric.seat(client), to, 5600 + i)));
          }
          for (const talk of talks) assert.equal(await talk.echo(1000), 1000, `IPv${family} ${order}`);
        }
    });
}

function outgoing(it: ServiceCase): void {
  it('NAT outgoing: outside sees the node, other Pods the Pod', async (fabric) => {
    await fabric.become(byPackets('Tunnel'), ...natOutgoing);
    await fabric.expect({
      'a > out:8080 tcp': 'out sees n1',
      'a > out:8080 udp': 'out sees n1',
      'b > out:8080 tcp': 'out sees n2',
      'a > b:8080 tcp': 'b sees a',
      'a > a2:8080 udp': 'a2 sees a',
      'a > n1:8080 tcp': 'n1 sees a',
      'a > n2:8080 tcp': 'n2 sees n1',
      'a > n2:8080 udp': 'n2 sees n1',
    });
    await fabric.become(
      settings({ bpfConnectTimeLoadBalancing: 'Disabled', natOutgoingExclusions: 'IPPoolsAndHostIPs' }),
      ...natOutgoing,
    );
    await fabric.expect({ 'a > n2:8080 tcp': 'n2 sees a', 'a > out:8080 tcp': 'out sees n1' });
  });
  it('NAT outgoing: several Pods and the node itself with one port', async (fabric) => {
    await fabric.become(byPackets('Tunnel'), ...natOutgoing);
    for (const family of families)
      for (const order of [
        ['a', 'a2', 'n1'],
        ['n1', 'a', 'a2'],
      ]) {
        using stack = new DisposableStack();
        const port = order[0] === 'a' ? 5601 : 5602;
        const sockets = order.map((place) => stack.use(Datagrams.open(fabric.seat(place), family, port)));
        const ask = async () => {
          const told: string[] = [];
          for (const socket of sockets) told.push(await socket.ask(at(fabric, 'out', 8080, family), 64, 500));
          return told;
        };
        const first = await ask();
        assert.equal(new Set(first).size, 3, `IPv${family} ${order}: ${first}`);
        for (const line of first)
          assert.ok(line.startsWith(`out sees ${fabric.address('n1', family)}:`), line);
        assert.deepEqual(await ask(), first);
      }
  });
  it('NAT outgoing: several Pods and the node ping one address with one identifier', async (fabric) => {
    await fabric.become(byPackets('Tunnel'), ...natOutgoing);
    const places = ['a', 'a2', 'n1', 'b'];
    for (const family of families)
      assert.deepEqual(await pings(fabric, places, fabric.address('out', family)), places, `IPv${family}`);
  });
}

/** Echo requests of one identifier from each at once. @returns who was answered. */
async function pings(
  fabric: ServiceFabric,
  places: readonly string[],
  to: Address,
): Promise<readonly string[]> {
  const family = familyOf(to);
  using stack = new DisposableStack();
  const sockets = places.map((place) => stack.use(inSeat(fabric.seat(place), () => openIcmp(family))));
  for (const fd of sockets)
    sys.send(fd, echoRequest(family, 4711, 1), 0, encodeAddress({ address: to, port: 0 }));
  await new Promise((resolve) => setTimeout(resolve, 150));
  const buffer = new Uint8Array(256);
  return places.filter((_, i) => {
    const fd = sockets[i];
    for (let length = fd && sys.recv(fd, buffer); fd && length; length = sys.recv(fd, buffer))
      if (decodeEchoReply(family, buffer.subarray(0, length))?.id === 4711) return true;
    return false;
  });
}

function maglev(it: ServiceCase): void {
  for (const mode of modes)
    it(`Maglev: by whichever node it comes, a flow goes to one backend: ${mode}`, async (fabric) => {
      const annotations = { 'lb.projectcalico.org/external-traffic-strategy': 'maglev' };
      await fabric.become(
        byPackets(mode),
        ...balanced(fabric, 'spread', 1, { to: { a: {}, a2: {}, b: {}, b2: {} }, annotations }),
      );
      const met = new Map<string, (string | undefined)[]>();
      for (const node of ['n1', 'n2', 'n3'] as const) {
        fabric.leadServicesTo(node);
        for (const family of families)
          for (const [port, by] of await chosen(fabric, 'balancer_spread', family))
            met.set(`IPv${family} ${port}`, [...(met.get(`IPv${family} ${port}`) ?? []), by]);
      }
      fabric.leadServicesTo('n1');
      for (const [flow, by] of met) assert.equal(new Set(by).size, 1, `${flow}: ${by}`);
      assert.deepEqual(new Set([...met.values()].flat()), new Set(['a', 'a2', 'b', 'b2']));
    });
}

/** Who answers a connection from each of some ports of the client outside. */
async function chosen(fabric: ServiceFabric, to: string, family: Family): Promise<[number, string][]> {
  const ports = Array.from({ length: 40 }, (_, i) => 7000 + i);
  const outcomes = await askAll(
    ports.map((port) => fabric.question(`out > ${to}:80 tcp from ${port}`, family)),
  );
  return outcomes.map((outcome, i) => [ports[i] ?? 0, outcome.kind === 'answer' ? outcome.by : outcome.kind]);
}

function returnPath(it: ServiceCase): void {
  for (const { mode, optOut, isStraight } of [
    { mode: 'Tunnel', optOut: [], isStraight: false },
    { mode: 'DSR', optOut: [], isStraight: true },
    { mode: 'DSR', optOut: ['192.0.2.0/24', '2001:db8::/64'], isStraight: false },
  ])
    it(`answers come ${isStraight ? 'straight' : 'by the first node'}: ${mode}, opted out ${optOut.length > 0}`, async (fabric) => {
      await fabric.become(
        settings({
          bpfConnectTimeLoadBalancing: 'Disabled',
          bpfExternalServiceMode: mode,
          bpfDSROptoutCIDRs: optOut,
        }),
        ...balanced(fabric, 'far', 1, { to: { b: {} } }),
      );
      for (const family of families) {
        using link = new PacketSocket(fabric.netns('n1'), 'eth0');
        using talk = await Talk.open(fabric.seat('out'), at(fabric, 'n1', 30081, family));
        let bytes = 0;
        for (let i = 0; i < 10; i++) {
          assert.equal(await talk.echo(10_000), 10_000);
          for (const frame of link.received())
            if (isTunnelFrom(frame, fabric.address('n2', family))) bytes += frame.length;
        }
        if (isStraight) assert.equal(bytes, 0, 'return path bytes through the first node');
        else assert.ok(bytes > 100_000, `${bytes} bytes`);
      }
    });
}

function spread(it: ServiceCase): void {
  it('10,000 flows are spread evenly over three backends', async (fabric) => {
    await fabric.become(
      byPackets('Tunnel'),
      ...balanced(fabric, 'even', 1, { to: { a2: {}, b: {}, b2: {} } }),
    );
    const met = new Map<string, number>();
    for (let round = 0; round < 20; round++) {
      const question = fabric.question('a > cluster_even:80 udp', 4);
      for (const outcome of await askAll(Array.from({ length: 500 }, () => question))) {
        const by = outcome.kind === 'answer' ? outcome.by : outcome.kind;
        met.set(by, (met.get(by) ?? 0) + 1);
      }
    }
    const expected = 10_000 / 3;
    const chiSquare = [...met.values()].reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    assert.deepEqual([...met.keys()].sort(), ['a2', 'b', 'b2']);
    // the kernel's own random numbers: a fair choice exceeds this once in 10^9 runs (two degrees of freedom)
    assert.ok(chiSquare < 41.4, `chi-square ${chiSquare}: ${JSON.stringify([...met])}`);
  });
  it('SCTP to the same target port', async (fabric) => {
    const ports = [{ name: 'sctp', protocol: 'SCTP', port: 8080 }];
    await fabric.become(
      byPackets('Tunnel'),
      ...balanced(fabric, 'sctp', 1, { to: { b: {} }, ports }).map((resource) =>
        resource.kind === 'EndpointSlice' ? { ...resource, ports } : resource,
      ),
    );
    for (const family of families) {
      using ear = new PacketSocket(fabric.netns('b'), 'eth0');
      const ends = { src: fabric.address('a', family), dst: fabric.address('cluster_sctp', family) };
      const probe = { from: ends.src, to: ends.dst, protocol: 132, srcPort: 5000, dstPort: 8080 };
      fabric.sendFrame('a', ip(ends, 132, probeBytes(probe, 1)));
      const wanted = Buffer.from(addressBytes(fabric.address('b', family)));
      const arrives = () =>
        ear.received().some((frame) => frame[family === 4 ? 23 : 20] === 132 && contains(frame, wanted));
      await until(arrives, `SCTP by IPv${family}`);
    }
  });
}

function restart(it: ServiceCase): void {
  for (const mode of modes)
    it(`a new driver takes over: connections live on: ${mode}`, async (fabric) => {
      await fabric.become(byPackets(mode), ...natOutgoing, ...balanced(fabric, 'far', 1, { to: { b: {} } }));
      using stack = new DisposableStack();
      const talks: Talk[] = [];
      for (const family of families)
        for (const [from, to, port] of [
          ['a', 'cluster_far', 80],
          ['n1', 'cluster_far', 80],
          ['out', 'n1', 30081],
          ['out', 'n2', 30081],
          ['a', 'out', 8080],
        ] as const)
          talks.push(stack.use(await Talk.open(fabric.seat(from), at(fabric, to, port, family))));
      for (const node of ['n1', 'n2'] as const) {
        assert.deepEqual((await fabric.node(node).restart()).failed, []);
        await fabric.node(node).settle();
      }
      for (const talk of talks) assert.equal(await talk.echo(3000), 3000);
    });
}

/** UDP, hence the tunnel: what is said inside is TCP. */
function isTunnelFrom(frame: Uint8Array, node: Address): boolean {
  const bytes = addressBytes(node);
  const [protocolAt, sourceAt] = bytes.length === 4 ? [23, 26] : [20, 22];
  return (
    frame[protocolAt] === 17 && Buffer.compare(frame.subarray(sourceAt, sourceAt + bytes.length), bytes) === 0
  );
}
