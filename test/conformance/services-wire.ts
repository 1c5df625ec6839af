// SPDX-License-Identifier: Apache-2.0
/** What the wire does to packets of services: errors on the way, links that take less, fragments, and what comes out of order. */
import assert from 'node:assert/strict';
import { type Family, familyOf } from '../../src/lib/address.ts';
import { fragmentHeader, ipv4, ipv6, udp } from '../support/frames.ts';
import { calico } from '../support/oracle-cluster.ts';
import { PacketSocket } from '../support/packet-socket.ts';
import type { OpenDriver, ServiceFabric } from '../support/service-rig.ts';
import { balanced, type ServiceCase, serviceSuite, settings } from '../support/service-suite.ts';
import { Datagrams, Talk } from '../support/service-talk.ts';

const families = [4, 6] as const;
const modes = ['Tunnel', 'DSR'] as const;
const EHOSTUNREACH = 113;
const EMSGSIZE = 90;
/** What VXLAN takes of 1500: bpf/tunnel.h, struct outer4 and outer6. */
const tunnelMtu = { 4: 1450, 6: 1430 } as const;
const byPackets = (mode: string) =>
  settings({ bpfConnectTimeLoadBalancing: 'Disabled', bpfExternalServiceMode: mode });
const natOutgoing = ['10.65.0.0/16', 'fd65::/16'].map((cidr, i) =>
  calico('IPPool', `pool${i}`, { cidr, natOutgoing: true }),
);

export function serviceWire(name: string, open: OpenDriver): void {
  serviceSuite(`services ${name}, on the wire`, open, (it) => {
    errors(it);
    sizes(it);
    fragments(it);
  });
}

function at(fabric: ServiceFabric, name: string, port: number, family: Family) {
  return { address: fabric.address(name, family), port };
}

function errors(it: ServiceCase): void {
  for (const mode of modes)
    it(`a port where nobody listens is told to the client: ${mode}`, async (fabric) => {
      await fabric.become(
        byPackets(mode),
        ...balanced(fabric, 'deaf', 1, { to: { b: {} }, targetPort: 9 }),
        ...balanced(fabric, 'deafhost', 2, { to: { n2: {} }, targetPort: 9 }),
      );
      await fabric.expect({
        'a > cluster_deaf:80 udp connected': 'refused',
        'b2 > cluster_deaf:80 udp connected': 'refused',
        'b > cluster_deaf:80 udp connected': 'refused',
        'n1 > cluster_deaf:80 udp connected': 'refused',
        'n2 > cluster_deaf:80 udp connected': 'refused',
        'a > n3:30081 udp connected': 'refused',
        'out > n1:30081 udp connected': 'refused',
        'out > n2:30081 udp connected': 'refused',
        'out > external_deaf:80 udp connected': 'refused',
        'a > cluster_deafhost:80 udp connected': 'refused',
        'b > cluster_deafhost:80 udp connected': 'refused',
        'n1 > cluster_deafhost:80 udp connected': 'refused',
        'n2 > cluster_deafhost:80 udp connected': 'refused',
        'out > n1:30082 udp connected': 'refused',
        'out > n2:30082 udp connected': 'refused',
        'a > cluster_deaf:80 tcp': 'refused',
        'n2 > cluster_deafhost:80 tcp': 'refused',
        'out > n1:30081 tcp': 'refused',
      });
    });
  it('who goes too far is told so, about the service that he asked', async (fabric) => {
    await fabric.become(
      byPackets('Tunnel'),
      ...natOutgoing,
      ...balanced(fabric, 'beyond', 1, { to: { out: {} } }),
    );
    for (const family of families)
      for (const [client, hops] of [
        ['a', 1], // ends at the node
        ['a', 2], // ends at the router, which quotes what the node made of it
        ['n1', 1],
      ] as const) {
        using socket = Datagrams.connect(fabric.seat(client), at(fabric, 'cluster_beyond', 80, family));
        socket.setHops(hops);
        socket.send(64);
        assert.equal(await socket.error(), EHOSTUNREACH, `IPv${family} ${client} ${hops}`);
      }
  });
  for (const mode of modes)
    it(`traceroute to a node port: the first node says that it was there: ${mode}`, async (fabric) => {
      await fabric.become(byPackets(mode), ...balanced(fabric, 'far', 1, { to: { b: {} } }));
      for (const family of families)
        for (const hops of [1, 2]) {
          using socket = Datagrams.connect(fabric.seat('out'), at(fabric, 'n1', 30081, family));
          socket.setHops(hops);
          socket.send(64);
          assert.equal(await socket.error(), EHOSTUNREACH, `IPv${family} ${hops}`);
        }
    });
}

function sizes(it: ServiceCase): void {
  it('a narrow link beyond the node: the client learns of it, for the service that it asked', async (fabric) => {
    await fabric.become(
      byPackets('Tunnel'),
      ...natOutgoing,
      ...balanced(fabric, 'beyond', 1, { to: { out: {} } }),
    );
    fabric.narrow(1400);
    try {
      for (const family of families)
        for (const client of ['a', 'n1']) {
          const to = at(fabric, 'cluster_beyond', 80, family);
          using socket = Datagrams.connect(fabric.seat(client), to);
          assert.equal(socket.send(1440), 0);
          assert.equal(await socket.error(), EMSGSIZE, `IPv${family} ${client}`);
          assert.equal(socket.pathMtu(), 1400);
          using talk = await Talk.open(fabric.seat(client), to);
          assert.equal(await talk.echo(2_000_000), 2_000_000, `IPv${family} ${client}`);
        }
    } finally {
      fabric.narrow(1500);
    }
  });
  for (const mode of modes)
    it(`a narrow link before the client: the backend learns of it: ${mode}`, async (fabric) => {
      await fabric.become(byPackets(mode), ...balanced(fabric, 'far', 1, { to: { b: {} } }));
      for (const family of families) {
        using talk = await Talk.open(fabric.seat('out'), at(fabric, 'n1', 30081, family));
        assert.equal(await talk.echo(100_000), 100_000);
        fabric.narrow(1300, 'edge');
        try {
          assert.equal(await talk.echo(2_000_000), 2_000_000, `IPv${family}`);
        } finally {
          fabric.narrow(1500, 'edge');
        }
      }
    });
  for (const mode of modes)
    it(`what does not fit into the tunnel is told to the client, with the right size: ${mode}`, async (fabric) => {
      const number = mode === 'DSR' ? 11 : 12; // what is learnt of an address stays
      await fabric.become(byPackets(mode), ...balanced(fabric, `fit${number}`, number, { to: { b: {} } }));
      for (const family of families) {
        const to = at(fabric, `external_fit${number}`, 80, family);
        const headers = family === 4 ? 28 : 48;
        using socket = Datagrams.connect(fabric.seat('out'), to);
        // one byte too many: were it more, the client's own kernel would say so from then on, and not the node
        assert.equal(socket.send(tunnelMtu[family] - headers + 1), 0);
        assert.equal(await socket.error(), EMSGSIZE, `IPv${family}`);
        assert.equal(socket.pathMtu(), tunnelMtu[family]);
        assert.equal(socket.send(tunnelMtu[family] - headers), 0);
        assert.match(await socket.ask(to, tunnelMtu[family] - headers), /^b sees .* \d+$/);
        assert.equal(socket.send(tunnelMtu[family] - headers + 1), EMSGSIZE);
      }
    });
  for (const mode of modes)
    it(`megabytes arrive whole: ${mode}`, async (fabric) => {
      await fabric.become(byPackets(mode), ...balanced(fabric, 'far', 1, { to: { b: {} } }));
      for (const family of families)
        for (const [from, to, port] of [
          ['out', 'n1', 30081],
          ['out', 'n3', 30081],
          ['out', 'n2', 30081],
          ['a', 'cluster_far', 80],
          ['n1', 'cluster_far', 80],
          ['b2', 'cluster_far', 80],
        ] as const) {
          using talk = await Talk.open(fabric.seat(from), at(fabric, to, port, family));
          assert.equal(await talk.echo(4_000_000), 4_000_000, `IPv${family} ${from} > ${to}`);
        }
    });
}

function fragments(it: ServiceCase): void {
  for (const mode of modes)
    it(`datagrams of 4,000 bytes: ${mode}`, async (fabric) => {
      await fabric.become(
        byPackets(mode),
        ...balanced(fabric, 'near', 1, { to: { a2: {} } }),
        ...balanced(fabric, 'far', 2, { to: { b: {} } }),
      );
      for (const family of families)
        for (const [from, to, port, by] of [
          ['a', 'a2', 8080, 'a2'],
          ['a', 'b', 8080, 'b'],
          ['a', 'cluster_near', 80, 'a2'],
          ['a', 'cluster_far', 80, 'b'],
          ['n1', 'cluster_far', 80, 'b'],
          ['n1', 'cluster_near', 80, 'a2'],
          ['out', 'n1', 30081, 'a2'],
          ['out', 'n2', 30082, 'b'],
          ['out', 'n1', 30082, 'b'],
        ] as const) {
          using socket = Datagrams.open(fabric.seat(from), family);
          const target = at(fabric, to, port, family);
          // by the tunnel either side first learns what fits
          for (let i = 0; i < 2 && from === 'out'; i++) await socket.ask(target, 4000, 200);
          const got = await socket.ask(target, 4000);
          assert.match(got, new RegExp(`^${by} sees \\S+ 4000$`), `IPv${family} ${from} > ${to}:${port}`);
        }
    });
  it('a later part that comes before the first is dropped and counted; the others are not', async (fabric) => {
    await fabric.become(byPackets('Tunnel'), ...balanced(fabric, 'far', 1, { to: { b: {} } }));
    for (const family of families) {
      using ear = new PacketSocket(fabric.netns('b'), 'eth0');
      const parts = datagramInParts(fabric, family);
      for (const order of [
        [1, 0],
        [0, 1],
      ]) {
        const before = await fabric.node('n1').drops('fragment');
        ear.received();
        for (const part of order) fabric.sendFrame('a', parts(order[0] ?? 0)[part] ?? new Uint8Array());
        await new Promise((resolve) => setTimeout(resolve, 50));
        const heard = ear.received().filter((frame) => isFragment(frame, family)).length;
        assert.equal(heard, order[0] === 0 ? 2 : 1, `IPv${family}, order ${order}`);
        assert.equal(await fabric.node('n1').drops('fragment'), before + (order[0] ?? 0));
      }
    }
  });
}

/** A UDP datagram to the service in two IP packets. @returns for an identification its parts. */
function datagramInParts(fabric: ServiceFabric, family: Family): (id: number) => readonly Uint8Array[] {
  const ends = { src: fabric.address('a', family), dst: fabric.address('cluster_far', family) };
  const whole = udp(ends, 6000, 80, new Uint8Array(1992));
  const cut = 1000;
  return (id) => {
    if (familyOf(ends.dst) === 4)
      return [
        ipv4({ ...ends, protocol: 17, payload: whole.subarray(0, cut), moreFragments: true, id }),
        ipv4({ ...ends, protocol: 17, payload: whole.subarray(cut), fragmentOffset: cut / 8, id }),
      ];
    const part = (offset: number, more: boolean, bytes: Uint8Array) =>
      ipv6(ends, 44, Uint8Array.from([...fragmentHeader(17, offset / 8, more, id), ...bytes]));
    return [part(0, true, whole.subarray(0, cut)), part(cut, false, whole.subarray(cut))];
  };
}

function isFragment(frame: Uint8Array, family: Family): boolean {
  if (family === 6) return frame[12] === 0x86 && frame[20] === 44;
  return frame[12] === 0x08 && (((frame[20] ?? 0) & 0x3f) | (frame[21] ?? 0)) !== 0;
}
