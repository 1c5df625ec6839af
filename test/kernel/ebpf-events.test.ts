// SPDX-License-Identifier: Apache-2.0
/**
 * What the eBPF data plane tells of itself, with a real driver and real packets: events as flow records, losses counted, and
 * each question of contract/inspect.ts answered with names.
 */
import assert from 'node:assert/strict';
import type { DataplaneMessage } from '../../src/contract/dataplane.ts';
import type { FlowRecord } from '../../src/contract/flow.ts';
import type { Inspection, InspectionAnswer, InspectionKind } from '../../src/contract/inspect.ts';
import { EbpfDriver } from '../../src/drivers/ebpf/driver.ts';
import { FlowEvents } from '../../src/drivers/ebpf/events.ts';
import { noTranslation } from '../../src/drivers/ebpf/settings.ts';
import { BpfMap } from '../../src/kernel/bpf/map.ts';
import { connectUdp } from '../../src/kernel/socket.ts';
import { sys } from '../../src/kernel/sys/open.ts';
import { parseAddress } from '../../src/lib/address.ts';
import type { Address, KeyPath } from '../../src/lib/brand.ts';
import { parseCidr } from '../../src/lib/cidr.ts';
import { NotFoundError } from '../../src/lib/errors.ts';
import { workloadInterfaceName } from '../../src/model/kubernetes/pod.ts';
import type { OraclePacket } from '../../src/model/oracle/policy.ts';
import type { Resource } from '../../src/model/types.ts';
import { core, np } from '../support/oracle-cluster.ts';
import { plainFrontend } from '../support/plain-frontend.ts';
import { messagesFor } from '../support/policy-rig.ts';
import { ProbeRig } from '../support/probe-rig.ts';
import { rootTest, until } from './root-test.ts';

const addresses = {
  a: [parseAddress('10.65.0.1'), parseAddress('fd65::1')],
  b: [parseAddress('10.65.0.2'), parseAddress('fd65::2')],
} as const;
const outside = parseAddress('192.0.2.10');
const host = parseAddress('172.16.0.1');
const clusterIp = parseAddress('10.96.0.1');
const pods = ['a', 'b'] as const;
const idOf = (name: 'a' | 'b') =>
  endpoints.find((each) => each.kind === 'endpoint-update' && each.endpoint.name === `red/${name}`);

/** b takes TCP to 80 from the web's nets and logs it; all else it denies; a may do all. */
const resources: readonly Resource[] = [
  core('Namespace', 'red', {}),
  ...pods.map((name) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'red', labels: { app: name } },
    spec: { nodeName: 'n1', serviceAccountName: 'default' },
    status: { podIPs: addresses[name].map((ip) => ({ ip })) },
  })),
  np('red', 'b', {
    selector: 'app == "b"',
    types: ['Ingress'],
    ingress: [
      { action: 'Log', protocol: 'TCP', destination: { ports: [80] } },
      { action: 'Allow', protocol: 'TCP', source: { selector: 'app == "a"' }, destination: { ports: [80] } },
      { action: 'Allow', protocol: 'TCP', source: { nets: ['192.0.2.0/24'] }, destination: { ports: [80] } },
      { action: 'Deny' },
    ],
  }),
];
const endpoints = messagesFor('n1', resources);

const frontend = plainFrontend({
  address: clusterIp,
  port: 8080,
  backends: [{ address: addresses.b[0], port: 80, local: true }],
  withoutOutside: 'drop',
  sources: [parseCidr('192.0.2.0/24'), parseCidr('10.65.0.0/16')],
});

class Scene implements AsyncDisposable {
  readonly rig: ProbeRig;
  readonly driver: EbpfDriver;
  readonly flows: FlowRecord[] = [];
  lost = 0;
  #nextPort = 20_000;

  constructor() {
    const workloads = pods.map((name) => ({
      ifName: workloadInterfaceName('red', name),
      addresses: addresses[name],
    }));
    this.rig = new ProbeRig(workloads, [{ name: 'eth0', addresses: [host], beyond: [outside] }]);
    this.driver = this.rig.node.run(() => new EbpfDriver(this.rig.driverOptions));
    this.driver.onFlows((flows, lost) => {
      this.flows.push(...flows);
      this.lost += lost;
    });
  }

  async become(messages: readonly DataplaneMessage[]): Promise<void> {
    this.driver.onTranslation({ kind: 'translation-update', config: noTranslation });
    this.driver.onTranslation({
      kind: 'service-update',
      id: 'Service/red/b' as KeyPath,
      service: { name: 'red/b', frontends: [frontend] },
    });
    for (const message of messages) this.driver.onMessage(message);
    assert.deepEqual((await this.rig.apply(this.driver)).failed, []);
  }

  /** @returns the record of the first packet. */
  async send(from: Address, to: Address, dstPort: number, passes: boolean): Promise<FlowRecord> {
    const srcPort = this.#nextPort++;
    await this.probe([{ from, to, protocol: 6, srcPort, dstPort }], [passes]);
    await until(() => this.#of(srcPort).length > 0, `a record of ${from}:${srcPort}`);
    const [record] = this.#of(srcPort);
    assert.ok(record);
    return record;
  }

  async probe(packets: readonly OraclePacket[], expected: readonly boolean[]): Promise<void> {
    assert.deepEqual(await this.rig.probe(packets, expected), expected);
  }

  async ask<K extends InspectionKind>(
    question: Extract<Inspection, { kind: K }>,
  ): Promise<Extract<InspectionAnswer, { kind: K }>> {
    const answer = await this.driver.inspect(question);
    assert.equal(answer.kind, question.kind);
    return answer as Extract<InspectionAnswer, { kind: K }>;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.driver[Symbol.asyncDispose]();
    await this.rig[Symbol.asyncDispose]();
  }

  #of(srcPort: number): readonly FlowRecord[] {
    return this.flows.filter(({ src }) => src.port === srcPort);
  }
}

function endpointOf(name: 'a' | 'b') {
  const message = idOf(name);
  assert.ok(message?.kind === 'endpoint-update');
  return { id: message.id, name: `red/${name}` };
}

rootTest('flows are told with their ends, verdict, rules, Log rules and reason', async () => {
  await using scene = new Scene();
  await scene.become(endpoints);
  const before = Date.now();
  const allowed = await scene.send(addresses.a[0], addresses.b[0], 80, true);
  assert.ok(Math.abs(allowed.timeMs - before) < 10_000, 'by the clock of the wall');
  assert.deepEqual(
    [allowed.verdict, allowed.reason, allowed.hook, allowed.family, allowed.protocol],
    ['allow', null, 'from-workload', 4, 6],
  );
  assert.deepEqual([allowed.src.endpoint, allowed.dst.endpoint], [endpointOf('a'), endpointOf('b')]);
  assert.deepEqual(
    allowed.trace.map(({ endpoint, rule }) => [endpoint?.name, rule]),
    [
      ['red/a', 'Profile/kns.red egress rule 0'],
      ['red/b', 'NetworkPolicy/red/b ingress rule 1'],
    ],
  );
  assert.deepEqual(allowed.logs, [
    { rule: 'NetworkPolicy/red/b ingress rule 0', prefix: 'calico-packet ingress NetworkPolicy/red/b' },
  ]);
  const denied = await scene.send(addresses.a[1], addresses.b[1], 443, false);
  assert.deepEqual([denied.verdict, denied.reason, denied.family], ['deny', 'policy', 6]);
  assert.deepEqual(denied.trace.at(-1), {
    endpoint: endpointOf('b'),
    rule: 'NetworkPolicy/red/b ingress rule 3',
  });
  assert.deepEqual(denied.logs, []);
});

rootTest(
  'a service is told by its name, with the address before and after; outsiders are nobody here',
  async () => {
    await using scene = new Scene();
    await scene.become(endpoints);
    const served = await scene.send(addresses.a[0], clusterIp, 8080, true);
    assert.deepEqual(
      [served.service, served.dst.address, served.dst.port, served.dst.translated, served.dst.endpoint],
      ['red/b', clusterIp, 8080, { address: addresses.b[0], port: 80 }, endpointOf('b')],
    );
    const fromOutside = await scene.send(outside, addresses.b[0], 80, true);
    assert.deepEqual([fromOutside.hook, fromOutside.src.endpoint], ['from-network', null]);
    assert.deepEqual(
      fromOutside.trace.map(({ rule }) => rule),
      ['NetworkPolicy/red/b ingress rule 2'],
    );
  },
);

rootTest('a flood is told in part, and what is not told is counted to the last packet', async () => {
  await using scene = new Scene();
  await scene.become(endpoints);
  const count = 6000; // the ring holds about 3,600 records
  scene.rig.netnsBehind(workloadInterfaceName('red', 'a')).run(() => {
    const fd = connectUdp({ address: addresses.b[0], port: 53 });
    for (let i = 0; i < count; i++) sys.send(fd, new Uint8Array(1), 0);
    fd.close();
  });
  const told = () => scene.flows.filter(({ protocol }) => protocol === 17);
  await until(() => told().length + scene.lost >= count, 'all packets to be told or counted');
  assert.equal(told().length + scene.lost, count);
  assert.equal(told().length, 500);
  assert.equal(
    told().every(({ reason }) => reason === 'policy'),
    true,
  );
  const { events, drops } = await scene.ask({ kind: 'counters', limit: 10 });
  assert.deepEqual(drops[0]?.reason, 'policy');
  assert.ok((drops[0]?.packets ?? 0) >= count);
  assert.deepEqual(events, { told: scene.flows.length, lost: scene.lost });
});

rootTest('conntrack: one row for a flow, with names, translation, state and filters', async () => {
  await using scene = new Scene();
  await scene.become(endpoints);
  await scene.send(addresses.a[0], clusterIp, 8080, true);
  await scene.send(outside, addresses.b[0], 80, true);
  const { flows, leftOut } = await scene.ask({ kind: 'conntrack', address: clusterIp, limit: 10 });
  assert.equal(leftOut, 0);
  const [flow, ...others] = flows;
  assert.deepEqual(others, []);
  assert.ok(flow);
  assert.deepEqual([flow.src.address, flow.dst], [addresses.a[0], { address: clusterIp, port: 8080 }]);
  assert.deepEqual([flow.translatedSrc, flow.translatedDst], [null, { address: addresses.b[0], port: 80 }]);
  assert.deepEqual([flow.endpoint, flow.service], [endpointOf('b'), 'red/b']);
  assert.equal(flow.rule, 'NetworkPolicy/red/b ingress rule 1');
  assert.deepEqual([flow.from, flow.way], [workloadInterfaceName('red', 'a'), 'peer']);
  assert.ok(['established', 'closing', 'reset'].includes(flow.state), flow.state);
  assert.ok(flow.ageSeconds <= 10 && flow.idleSeconds <= flow.ageSeconds);
  const all = await scene.ask({ kind: 'conntrack', limit: 1 });
  assert.deepEqual([all.flows.length, all.leftOut], [1, 1]);
  const ofB = await scene.ask({ kind: 'conntrack', endpoint: 'b', limit: 10 });
  assert.equal(ofB.flows.length, 2);
  const ofA = await scene.ask({ kind: 'conntrack', endpoint: 'red/a', limit: 10 });
  assert.equal(ofA.flows.length, 1);
  await assert.rejects(scene.driver.inspect({ kind: 'conntrack', endpoint: 'c', limit: 1 }), NotFoundError);
});

rootTest('services, routes, sets and links are shown as the maps have them', async () => {
  await using scene = new Scene();
  await scene.become(endpoints);
  const { frontends } = await scene.ask({ kind: 'nat', service: 'b', limit: 10 });
  assert.deepEqual(
    frontends.map(({ scope, sources, without, backends }) => [scope, sources, without, backends.length]),
    [
      ['inside', ['10.65.0.0/16', '192.0.2.0/24'], 'reject', 1],
      ['outside', ['10.65.0.0/16', '192.0.2.0/24'], 'drop', 1],
      ['tunnel', null, 'drop', 1],
    ],
  );
  assert.deepEqual(frontends[0]?.backends, [
    { address: addresses.b[0], port: 80, local: true, endpoint: endpointOf('b'), places: 1 },
  ]);
  assert.deepEqual(await scene.ask({ kind: 'nat', address: outside, limit: 10 }), {
    kind: 'nat',
    frontends: [],
    leftOut: 0,
  });
  const { routes } = await scene.ask({ kind: 'routes', address: addresses.a[1], limit: 10 });
  assert.deepEqual(routes, [
    {
      cidr: 'fd65::1/128',
      flags: ['workload', 'local'],
      via: null,
      link: workloadInterfaceName('red', 'a'),
      endpoint: endpointOf('a'),
    },
  ]);
  const own = await scene.ask({ kind: 'routes', address: host, limit: 10 });
  assert.deepEqual(own.routes[0]?.flags, ['local', 'node']);
  const { links } = await scene.ask({ kind: 'links' });
  const named = (name: string) => links.find((link) => link.name === name);
  assert.deepEqual([named('eth0')?.kind, named('eth0')?.addresses], ['network', [host]]);
  const ofA = named(workloadInterfaceName('red', 'a'));
  assert.deepEqual([ofA?.endpoint, ofA?.open, ofA?.programs.length], [endpointOf('a'), true, 4]);
});

rootTest("sets with their members; counters by rule; an endpoint's policy beside its rules", async () => {
  await using scene = new Scene();
  await scene.become(endpoints);
  await scene.send(addresses.a[0], addresses.b[0], 80, true);
  const { sets } = await scene.ask({ kind: 'ipsets', limit: 10 });
  const set = sets.find(({ family, description }) => family === 4 && description.includes('app == "a"'));
  assert.ok(set, JSON.stringify(sets));
  const { members } = await scene.ask({ kind: 'ipset', id: set.id, limit: 10 });
  assert.deepEqual(
    members.map(({ cidr }) => cidr),
    ['10.65.0.1/32'],
  );
  const none = await scene.ask({ kind: 'ipset', id: set.id, address: outside, limit: 10 });
  assert.deepEqual(none.members, []);
  await assert.rejects(scene.driver.inspect({ kind: 'ipset', id: 'x', limit: 1 }), NotFoundError);

  const rule = 'NetworkPolicy/red/b ingress rule 1';
  const { rules } = await scene.ask({ kind: 'counters', limit: 100 });
  assert.equal(rules.find((each) => each.rule === rule)?.hits, 1);
  const { endpoint, programs } = await scene.ask({ kind: 'policy', endpoint: 'red/b', direction: 'ingress' });
  assert.deepEqual(endpoint, endpointOf('b'));
  assert.deepEqual(
    programs.map(({ family, state }) => [family, state]),
    [
      [4, 'loaded'],
      [6, 'loaded'],
    ],
  );
  const blocks = programs[0]?.blocks ?? [];
  assert.deepEqual(
    new Set(blocks.filter((block) => block.rule === rule).map(({ hits }) => hits)),
    new Set([1]),
  );
  assert.equal(
    blocks.every(({ instructions }) => instructions.length > 0),
    true,
  );
  await assert.rejects(scene.driver.inspect({ kind: 'policy', endpoint: 'nobody' }), NotFoundError);
});

rootTest('drops that are counted while there is room in the ring were never to be told', (rig) => {
  const events = rig.use(
    BpfMap.create({ name: 'events', type: 'RINGBUF', keySize: 0, valueSize: 0, maxEntries: 4096, flags: 0 }),
  );
  const drops = rig.use(
    BpfMap.create({
      name: 'drops',
      type: 'PERCPU_ARRAY',
      keySize: 4,
      valueSize: 8,
      maxEntries: 32,
      flags: 0,
    }),
  );
  const nobody = () => null;
  const names = {
    rule: nobody,
    endpoint: nobody,
    endpointOf: nobody,
    endpointBehind: nobody,
    frontend: nobody,
  };
  let lost = 0;
  const reader = rig.use(
    new FlowEvents(
      { events, drops },
      {
        names,
        onFlows: (_, missing) => {
          lost += missing;
        },
      },
    ),
  );
  for (const count of [7n, 9n, 1000n]) {
    drops.set(Uint8Array.of(1, 0, 0, 0), drops.forEveryCpu(new Uint8Array(BigUint64Array.of(count).buffer)));
    reader.drain();
  }
  reader.drain();
  assert.equal(lost, 0);
  assert.deepEqual(reader.counts(), { told: 0, lost: 0 });
});
