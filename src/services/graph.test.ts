// SPDX-License-Identifier: Apache-2.0
/** Each test is a row of docs/services.md. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type EndpointShort,
  kubernetesNode,
  ServiceRig,
  type ServiceShort,
  service,
  slice,
} from '../../test/support/services.ts';
import { keyOf } from '../model/kinds.ts';
import { ServiceGraph } from './graph.ts';

const web = 'shop/web';
const of = (name: string, endpoints: { readonly [address: string]: EndpointShort }) =>
  slice(name, { of: web }, endpoints);
const both = of('a', { '10.65.0.1': { node: 'here' }, '10.65.0.2': { node: 'there' } });
const away = of('a', { '10.65.0.2': { node: 'there' } });
const balancer = (...ips: readonly string[]) => ({ loadBalancer: { ingress: ips.map((ip) => ({ ip })) } });

const all = '10.65.0.1:8080* 10.65.0.2:8080';
const mine = '10.65.0.1:8080*';
const others = '10.65.0.2:8080';

test('a cluster address is answered by every ready endpoint, told whether it is on this node', () => {
  const rig = new ServiceRig([service(web), both]);
  assert.deepEqual(rig.lines(web), [`cluster-ip 10.96.0.1 80 -> ${all} | ${all}`]);
});

test('dual stack: each cluster address has the backends of its family, from slices of each', () => {
  const six = of('b', { 'fd65::1': { node: 'here' } });
  const rig = new ServiceRig([service(web, { clusterIPs: ['10.96.0.1', 'fd96::1'] }), both, six]);
  assert.deepEqual(rig.lines(web), [
    `cluster-ip 10.96.0.1 80 -> ${all} | ${all}`,
    'cluster-ip fd96::1 80 -> fd65::1:8080* | fd65::1:8080*',
  ]);
  assert.deepEqual(
    rig.frontends(web).map(({ family }) => family),
    [4, 6],
  );
});

test('in a family without cluster address a service is not reached at all', () => {
  const spec = {
    type: 'LoadBalancer',
    externalIPs: ['192.0.2.1', '2001:db8::1'],
    ports: [{ port: 80, nodePort: 30080 }],
  };
  const rig = new ServiceRig([
    service(web, { ...spec, status: balancer('198.51.100.1', '2001:db8::2') }),
    both,
  ]);
  assert.deepEqual(
    rig.lines(web).map((line) => line.replace(/ ->.*/, '')),
    [
      'cluster-ip 10.96.0.1 80',
      'external-ip 192.0.2.1 80',
      'load-balancer 198.51.100.1 80',
      'node-port any4 30080',
    ],
  );
});

test('a node port is every address of every node', () => {
  const spec = {
    type: 'NodePort',
    clusterIPs: ['10.96.0.1', 'fd96::1'],
    ports: [{ port: 80, nodePort: 30080, protocol: 'UDP' }],
  };
  const ports = [{ port: 8080, protocol: 'UDP' }];
  const rig = new ServiceRig([service(web, spec), slice('a', { of: web, ports }, { '10.65.0.1': {} })]);
  const nodePorts = rig.frontends(web).filter(({ kind }) => kind === 'node-port');
  assert.deepEqual(
    nodePorts.map(({ address, family, protocol, port }) => ({ address, family, protocol, port })),
    [4, 6].map((family) => ({ address: null, family, protocol: 17, port: 30080 })),
  );
});

test('without allocated node ports a load balancer has none', () => {
  const spec = {
    type: 'LoadBalancer',
    allocateLoadBalancerNodePorts: false,
    status: balancer('198.51.100.1'),
  };
  assert.deepEqual(
    new ServiceRig([service(web, spec), both]).frontends(web).map(({ kind }) => kind),
    ['cluster-ip', 'load-balancer'],
  );
});

test('of a load balancer only addresses of mode VIP are answered by the node', () => {
  const ingress = [
    { ip: '198.51.100.1', ipMode: 'VIP' },
    { ip: '198.51.100.2', ipMode: 'Proxy' },
    { hostname: 'x' },
  ];
  const rig = new ServiceRig([
    service(web, { type: 'LoadBalancer', status: { loadBalancer: { ingress } } }),
    both,
  ]);
  assert.deepEqual(
    rig.frontends(web).flatMap(({ kind, address }) => (kind === 'load-balancer' ? [address] : [])),
    ['198.51.100.1'],
  );
});

test('source ranges hold at the addresses of the load balancer alone, from spec or annotation', () => {
  const spec = {
    type: 'LoadBalancer',
    ports: [{ port: 80, nodePort: 30080 }],
    status: balancer('198.51.100.1'),
  };
  const sources = (more: ServiceShort) =>
    new ServiceRig([service(web, { ...spec, ...more }), both])
      .frontends(web)
      .map((frontend) => frontend.sources);
  assert.deepEqual(sources({}), [null, null, null]);
  assert.deepEqual(sources({ loadBalancerSourceRanges: ['203.0.113.0/24', ' 192.0.2.0/24'] }), [
    null,
    ['203.0.113.0/24', '192.0.2.0/24'],
    null,
  ]);
  const annotations = {
    'service.beta.kubernetes.io/load-balancer-source-ranges': '203.0.113.0/24, 192.0.2.0/24',
  };
  assert.deepEqual(sources({ annotations })[1], ['203.0.113.0/24', '192.0.2.0/24']);
  assert.deepEqual(sources({ annotations, loadBalancerSourceRanges: ['10.0.0.0/8'] })[1], ['10.0.0.0/8']);
});

test('source ranges that are unreadable, or of the other family alone, let nobody in', () => {
  const spec = { type: 'LoadBalancer', status: balancer('198.51.100.1') };
  const key = 'service.beta.kubernetes.io/load-balancer-source-ranges';
  const rig = new ServiceRig([service(web, { ...spec, annotations: { [key]: 'everyone' } }), both]);
  assert.deepEqual(rig.frontends(web)[1]?.sources, []);
  assert.deepEqual(rig.faults(), [
    `Service/shop/web metadata.annotations.${key}: got "everyone", want a CIDR: it lets nobody in`,
  ]);
  rig.put(service(web, { ...spec, loadBalancerSourceRanges: ['2001:db8::/32'] }));
  assert.deepEqual(rig.frontends(web)[1]?.sources, []);
});

test('a client keeps its backend for three hours, or as long as the service says', () => {
  const seconds = (spec: ServiceShort) =>
    new ServiceRig([service(web, spec), both]).frontends(web)[0]?.affinitySeconds;
  const config = (timeoutSeconds: unknown) => ({ sessionAffinityConfig: { clientIP: { timeoutSeconds } } });
  assert.equal(seconds({}), 0);
  assert.equal(seconds({ sessionAffinity: 'ClientIP' }), 10_800);
  assert.equal(seconds({ sessionAffinity: 'ClientIP', ...config(60) }), 60);
  assert.equal(seconds({ sessionAffinity: 'None', ...config(60) }), 0);
  const rig = new ServiceRig([service(web, { sessionAffinity: 'ClientIP', ...config(0) }), both]);
  assert.equal(rig.frontends(web)[0]?.affinitySeconds, 10_800);
  assert.match(rig.faults().join(), /timeoutSeconds: got 0, want 1 to 86400/);
});

test('internalTrafficPolicy Local: this node alone; without one here silence while others have some', () => {
  const local = service(web, { internalTrafficPolicy: 'Local' });
  assert.deepEqual(new ServiceRig([local, both]).lines(web), [
    `cluster-ip 10.96.0.1 80 -> ${mine} | ${mine}`,
  ]);
  assert.deepEqual(new ServiceRig([local, away]).lines(web), ['cluster-ip 10.96.0.1 80 -> drop | drop']);
  assert.deepEqual(new ServiceRig([local]).lines(web), ['cluster-ip 10.96.0.1 80 -> reject | reject']);
});

test('externalTrafficPolicy Local: outside clients stay on this node, inside ones meet all', () => {
  const local = service(web, {
    type: 'LoadBalancer',
    externalTrafficPolicy: 'Local',
    externalIPs: ['192.0.2.1'],
    ports: [{ port: 80, nodePort: 30080 }],
    status: balancer('198.51.100.1'),
  });
  const rows = (resources: ConstructorParameters<typeof ServiceRig>[0]) =>
    new ServiceRig(resources).lines(web).map((line) => line.replace(/^.*-> /, ''));
  assert.deepEqual(rows([local, both]), [`${all} | ${all}`, ...Array<string>(3).fill(`${all} | ${mine}`)]);
  assert.deepEqual(rows([local, away]), [
    `${others} | ${others}`,
    ...Array<string>(3).fill(`${others} | drop`),
  ]);
  assert.deepEqual(rows([local]), Array<string>(4).fill('reject | reject'));
});

test('internal policy Local does not hold at external addresses, nor external policy at the cluster address', () => {
  const spec = { type: 'NodePort', ports: [{ port: 80, nodePort: 30080 }] };
  assert.deepEqual(
    new ServiceRig([service(web, { ...spec, internalTrafficPolicy: 'Local' }), both]).lines(web),
    [`cluster-ip 10.96.0.1 80 -> ${mine} | ${mine}`, `node-port any4 30080 -> ${all} | ${all}`],
  );
  assert.deepEqual(
    new ServiceRig([service(web, { externalTrafficPolicy: 'Local' }), both]).lines(web),
    [`cluster-ip 10.96.0.1 80 -> ${all} | ${all}`],
    'a service that nobody reaches from outside has no external policy',
  );
});

test('the health check of a load balancer with policy Local counts ready endpoints of this node, by Pod', () => {
  const spec = {
    type: 'LoadBalancer',
    externalTrafficPolicy: 'Local',
    healthCheckNodePort: 32000,
    clusterIPs: ['10.96.0.1', 'fd96::1'],
  };
  const checked = slice(
    'a',
    {
      of: web,
      ports: [
        { name: 'x', port: 1 },
        { name: 'y', port: 2 },
      ],
    },
    {
      '10.65.0.1': { node: 'here' },
      '10.65.0.3': { node: 'here', ready: false, serving: true, terminating: true },
      '10.65.0.2': { node: 'there' },
    },
  );
  const rig = new ServiceRig([service(web, spec), checked, of('b', { 'fd65::1': { node: 'here' } })]);
  const check = { namespace: 'shop', name: 'web', port: 32000 };
  assert.deepEqual(rig.graph.healthChecks(), [{ ...check, localEndpoints: 1 }]);
  rig.put(service('shop/other', { ...spec, clusterIPs: ['10.96.0.2'], created: '2026-01-01T00:00:00Z' }));
  assert.deepEqual(
    rig.graph.healthChecks(),
    [{ ...check, name: 'other', localEndpoints: 0 }],
    'one port is answered for one service, the oldest',
  );
  rig.remove(service('shop/other'));
  rig.put(service(web, { ...spec, externalTrafficPolicy: 'Cluster' }));
  assert.deepEqual(rig.graph.healthChecks(), []);
});

test('what is not ready does not count; where nothing is ready, what ends and still serves does', () => {
  const unready = { ready: false, serving: false };
  const ending = { ready: false, serving: true, terminating: true };
  const lines = (endpoints: { readonly [address: string]: EndpointShort }, spec: ServiceShort = {}) =>
    new ServiceRig([service(web, spec), of('a', endpoints)])
      .lines(web)
      .at(-1)
      ?.replace(/^.*-> /, '');
  assert.equal(
    lines({ '10.65.0.1': { node: 'here' }, '10.65.0.2': ending, '10.65.0.3': unready }),
    `${mine} | ${mine}`,
  );
  assert.equal(lines({ '10.65.0.2': ending, '10.65.0.3': unready }), `${others} | ${others}`);
  assert.equal(lines({ '10.65.0.3': unready }), 'reject | reject');
  assert.equal(lines({ '10.65.0.3': { ready: false, serving: true } }), 'reject | reject', 'it does not end');
});

test('for policy Local terminating endpoints of this node count where none of this node is ready', () => {
  const spec = {
    type: 'NodePort',
    externalTrafficPolicy: 'Local',
    internalTrafficPolicy: 'Local',
    ports: [{ port: 80, nodePort: 30080 }],
  };
  const ending = { node: 'here', ready: false, serving: true, terminating: true };
  const rig = new ServiceRig([
    service(web, spec),
    of('a', { '10.65.0.1': ending, '10.65.0.2': { node: 'there' } }),
  ]);
  assert.deepEqual(rig.lines(web), [
    `cluster-ip 10.96.0.1 80 -> ${mine} | ${mine}`,
    `node-port any4 30080 -> ${others} | ${mine}`,
  ]);
});

test('hints for nodes, then for zones, narrow the choice where every ready endpoint has some and one is for here', () => {
  const here = kubernetesNode('here', 'west');
  const inside = (endpoints: { readonly [address: string]: EndpointShort }, ...more: (typeof here)[]) =>
    new ServiceRig([service(web), of('a', endpoints), ...more])
      .frontends(web)[0]
      ?.inside.map(({ address }) => address.slice(-1))
      .join('');
  const west = { zones: ['west'] };
  const east = { zones: ['east'] };
  assert.equal(inside({ '10.65.0.1': west, '10.65.0.2': east }, here), '1');
  assert.equal(inside({ '10.65.0.1': { zones: ['east', 'west'] }, '10.65.0.2': east }, here), '1');
  assert.equal(inside({ '10.65.0.1': west, '10.65.0.2': {} }, here), '12', 'one has no hint');
  assert.equal(inside({ '10.65.0.1': east, '10.65.0.2': east }, here), '12', 'none is for here');
  assert.equal(inside({ '10.65.0.1': west, '10.65.0.2': east }), '12', 'nobody knows the zone of this node');
  assert.equal(
    inside({ '10.65.0.1': west, '10.65.0.2': east, '10.65.0.3': { ready: false } }, here),
    '1',
    'unready ones have no say',
  );
  const near = { '10.65.0.1': { ...west, nodes: ['here'] }, '10.65.0.2': { ...west, nodes: ['there'] } };
  assert.equal(inside(near, here), '1');
  assert.equal(
    inside({ ...near, '10.65.0.3': west }, here),
    '123',
    'not all have hints for nodes, all are of the zone',
  );
  assert.equal(
    inside({ '10.65.0.2': { ...west, nodes: ['there'] }, '10.65.0.3': { ...east, nodes: ['there'] } }, here),
    '2',
  );
  const ending = { ready: false, serving: true, terminating: true };
  assert.equal(
    inside({ '10.65.0.1': { ...east, ...ending }, '10.65.0.2': { ...west, ...ending } }, here),
    '12',
    'among those that end place does not count',
  );
});

test('hints hold for traffic policy Cluster alone', () => {
  const spec = { type: 'NodePort', externalTrafficPolicy: 'Local', ports: [{ port: 80, nodePort: 30080 }] };
  const endpoints = of('a', {
    '10.65.0.1': { node: 'here', zones: ['east'] },
    '10.65.0.2': { node: 'there', zones: ['west'] },
  });
  assert.deepEqual(
    new ServiceRig([service(web, spec), endpoints, kubernetesNode('here', 'west')]).lines(web),
    [`cluster-ip 10.96.0.1 80 -> ${others} | ${others}`, `node-port any4 30080 -> ${others} | ${mine}`],
  );
});

test('a node that changes its zone chooses anew', () => {
  const endpoints = of('a', { '10.65.0.1': { zones: ['east'] }, '10.65.0.2': { zones: ['west'] } });
  const rig = new ServiceRig([service(web), endpoints, kubernetesNode('here', 'west')]);
  assert.deepEqual(
    rig.frontends(web)[0]?.inside.map(({ address }) => address),
    ['10.65.0.2'],
  );
  rig.news();
  rig.put(kubernetesNode('here', 'east'));
  assert.deepEqual(
    rig.frontends(web)[0]?.inside.map(({ address }) => address),
    ['10.65.0.1'],
  );
  assert.deepEqual(rig.news(), ['+ Service/shop/web']);
});

test('headless services, names of the DNS and what other proxies serve are left alone', () => {
  const skipped: readonly Parameters<typeof service>[1][] = [
    { clusterIP: 'None' },
    { clusterIPs: ['None'] },
    { clusterIP: '' },
    { type: 'ExternalName', externalName: 'example.org' },
    { labels: { 'service.kubernetes.io/service-proxy-name': 'mesh' } },
    { labels: { 'service.kubernetes.io/headless': '' } },
    { annotations: { 'projectcalico.org/natExcludeService': 'true' } },
  ];
  for (const spec of skipped) {
    const rig = new ServiceRig([service(web, spec), both]);
    assert.deepEqual([rig.lines(web), rig.faults()], [[], []], JSON.stringify(spec));
  }
});

test('slices of other proxies do not count', () => {
  const foreign = slice(
    'b',
    { of: web, labels: { 'service.kubernetes.io/service-proxy-name': 'mesh' } },
    { '10.65.0.9': {} },
  );
  assert.deepEqual(new ServiceRig([service(web), both, foreign]).lines(web), [
    `cluster-ip 10.96.0.1 80 -> ${all} | ${all}`,
  ]);
});

test("a port is answered by the slices' ports of its name and protocol, whatever their number", () => {
  const ports = [
    { name: 'http', port: 80 },
    { name: 'dns', port: 53, protocol: 'UDP' },
    { name: 'dns', port: 53, protocol: 'TCP' },
  ];
  const one = slice('a', { of: web, ports: [{ name: 'http', port: 8080 }] }, { '10.65.0.1': {} });
  const two = slice(
    'b',
    {
      of: web,
      ports: [{ name: 'http', port: 8081 }, { name: 'dns', port: 5353, protocol: 'UDP' }, { name: 'dns' }],
    },
    { '10.65.0.2': {} },
  );
  const rig = new ServiceRig([service(web, { ports }), one, two]);
  assert.deepEqual(
    rig
      .frontends(web)
      .map(({ portName, protocol, inside }) => [
        portName,
        protocol,
        inside.map(({ address, port }) => `${address}:${port}`).join(),
      ]),
    [
      ['http', 6, '10.65.0.1:8080,10.65.0.2:8081'],
      ['dns', 17, '10.65.0.2:5353'],
      ['dns', 6, ''],
    ],
  );
});

test('of several addresses of an endpoint the first counts', () => {
  const several = { ...away, endpoints: [{ addresses: ['10.65.0.7', '10.65.0.8'] }] };
  assert.deepEqual(new ServiceRig([service(web), several]).lines(web), [
    'cluster-ip 10.96.0.1 80 -> 10.65.0.7:8080 | 10.65.0.7:8080',
  ]);
});

test('an endpoint in two slices is one; on this node if one of them says so', () => {
  const first = of('a', { '10.65.0.1': {} });
  const second = of('b', { '10.65.0.1': { node: 'here' } });
  for (const order of [
    [first, second],
    [second, first],
  ])
    assert.deepEqual(new ServiceRig([service(web), ...order]).lines(web), [
      `cluster-ip 10.96.0.1 80 -> ${mine} | ${mine}`,
    ]);
});

test('Maglev spreads outside clients over the same backends on every node, whatever policy and hints say', () => {
  const spec = {
    type: 'NodePort',
    externalTrafficPolicy: 'Local',
    ports: [{ port: 80, nodePort: 30080 }],
    annotations: { 'lb.projectcalico.org/external-traffic-strategy': 'maglev' },
  };
  const hinted = of('a', {
    '10.65.0.1': { node: 'here', zones: ['west'] },
    '10.65.0.2': { node: 'there', zones: ['east'] },
  });
  const rig = new ServiceRig([service(web, spec), hinted, kubernetesNode('here', 'west')]);
  assert.deepEqual(rig.lines(web), [
    `cluster-ip 10.96.0.1 80 -> ${mine} | ${mine}`,
    `node-port any4 30080 -> ${mine} | ${all}`,
  ]);
  assert.deepEqual(
    rig.frontends(web).map(({ maglev }) => maglev),
    [false, true],
  );
  rig.put(
    service(web, { ...spec, annotations: { 'lb.projectcalico.org/external-traffic-strategy': 'random' } }),
  );
  assert.equal(rig.frontends(web)[1]?.maglev, false);
  assert.match(rig.faults().join(), /got "random", want maglev/);
});

test("the API server's own service never goes to zero backends: it keeps those that it had", () => {
  const own = { of: 'default/kubernetes', ports: [{ port: 6443 }] };
  const good = slice('kubernetes', own, { '172.30.0.1': {} });
  const rig = new ServiceRig([
    service('default/kubernetes'),
    good,
    service(web, { clusterIP: '10.96.0.9' }),
    both,
  ]);
  const kept = ['cluster-ip 10.96.0.1 80 -> 172.30.0.1:6443 | 172.30.0.1:6443'];
  rig.put(slice('kubernetes', own, { '172.30.0.1': { ready: false, serving: false } }));
  assert.deepEqual(rig.lines('default/kubernetes'), kept);
  rig.remove(good, both);
  assert.deepEqual(rig.lines('default/kubernetes'), kept);
  assert.deepEqual(
    rig.lines(web),
    ['cluster-ip 10.96.0.9 80 -> reject | reject'],
    'no other service is kept alive',
  );
  rig.put(slice('kubernetes', own, { '172.30.0.2': {} }));
  assert.deepEqual(rig.lines('default/kubernetes'), [
    'cluster-ip 10.96.0.1 80 -> 172.30.0.2:6443 | 172.30.0.2:6443',
  ]);
});

test('of two services that want one frontend the older has it, then the first by name; the other is told', () => {
  const young = service('a/young', {
    created: '2026-02-01T00:00:00Z',
    ports: [{ port: 80 }, { port: 81, name: 'own' }],
  });
  const old = service('z/old', { created: '2026-01-01T00:00:00Z' });
  const rig = new ServiceRig([young]);
  rig.news();
  rig.put(old);
  assert.deepEqual(rig.news(), ['+ Service/a/young', '+ Service/z/old']);
  assert.deepEqual(
    rig.frontends('a/young').map(({ port }) => port),
    [81],
  );
  assert.deepEqual(rig.faults(), [
    "Service/a/young spec: 10.96.0.1 TCP/80 is z/old's, which is older: it has no effect here",
  ]);
  rig.put(service('m/unknown'));
  assert.equal(rig.frontends('m/unknown').length, 0, 'of unknown age is the youngest');
  rig.remove(old);
  assert.deepEqual(
    rig.frontends('a/young').map(({ port }) => port),
    [80, 81],
  );
  assert.deepEqual(rig.faults().length, 1);
  rig.put(service('b/twin', { created: '2026-02-01T00:00:00Z' }));
  assert.equal(rig.frontends('b/twin').length, 0);
});

test('two services on one node port clash as well', () => {
  const spec = (clusterIP: string, created: string) => ({
    type: 'NodePort',
    clusterIP,
    created,
    ports: [{ port: 80, nodePort: 30080 }],
  });
  const rig = new ServiceRig([
    service('a/a', spec('10.96.0.1', '2026-02-01T00:00:00Z')),
    service('b/b', spec('10.96.0.2', '2026-01-01T00:00:00Z')),
  ]);
  assert.deepEqual(
    rig.frontends('a/a').map(({ kind }) => kind),
    ['cluster-ip'],
  );
  assert.match(rig.faults().join(), /node port IPv4 TCP\/30080 is b\/b's/);
});

test('what cannot be read is absent and named, and disturbs nobody else', () => {
  const rig = new ServiceRig([service(web), both, service('shop/bad', { ports: [{ port: 'http' }] })]);
  assert.deepEqual([...rig.told.services.keys()], [web]);
  assert.match(rig.faults().join(), /^Service\/shop\/bad spec\.ports\[0\]\.port: got "http"/);
  rig.put(service('shop/bad', { clusterIP: '10.96.0.2' }));
  assert.deepEqual(rig.faults(), []);
  const foreign = {
    key: { kind: 'Service', namespace: 'shop', name: 'web' } as const,
    resource: service('shop/evil'),
  };
  rig.graph.onResources([foreign]);
  rig.graph.flush(rig.told.hear);
  assert.deepEqual(rig.lines(web), [], 'what says that it is another one');
  assert.match(rig.faults().join(), /got Service\/shop\/evil, want Service\/shop\/web/);
});

test('addresses that mean the host itself, its wire or many are no endpoints and no frontends', () => {
  const endpoints = of('a', {
    '127.0.0.1': {},
    '169.254.169.254': {},
    '224.0.0.1': {},
    '0.0.0.0': {},
    '10.65.0.1': { node: 'here' },
  });
  const rig = new ServiceRig([service(web, { externalIPs: ['127.0.0.1', '192.0.2.1'] }), endpoints]);
  assert.deepEqual(rig.lines(web), [
    `cluster-ip 10.96.0.1 80 -> ${mine} | ${mine}`,
    `external-ip 192.0.2.1 80 -> ${mine} | ${mine}`,
  ]);
  assert.equal(rig.faults().length, 5);
  const six = new ServiceRig([
    service(web, { clusterIPs: ['fd96::1'] }),
    of('a', { '::1': {}, 'fe80::1': {}, 'ff02::1': {}, '::ffff:127.0.0.1': {}, 'fd65::1': {} }),
  ]);
  assert.deepEqual(six.lines(web), ['cluster-ip fd96::1 80 -> fd65::1:8080 | fd65::1:8080']);
});

test('a node port with a type that has none has no effect, and that is said', () => {
  const rig = new ServiceRig([service(web, { ports: [{ port: 80, nodePort: 30080 }] }), both]);
  assert.deepEqual(
    rig.frontends(web).map(({ kind }) => kind),
    ['cluster-ip'],
  );
  assert.match(
    rig.faults().join(),
    /spec\.ports\[0\]\.nodePort: got 30080, want type NodePort or LoadBalancer/,
  );
});

test('nothing is said before in-sync, then all at once, the configuration first; what changes nothing says nothing', () => {
  const rig = new ServiceRig([]);
  assert.deepEqual(rig.news(), ['config']);
  rig.put(service('a/a', { clusterIP: '10.96.0.1' }), service('b/b', { clusterIP: '10.96.0.2' }));
  assert.deepEqual(rig.news(), ['+ Service/a/a', '+ Service/b/b']);
  rig.put(service('a/a', { clusterIP: '10.96.0.1', labels: { x: 'y' } }), kubernetesNode('far', 'z'));
  assert.deepEqual(rig.news(), []);
  rig.graph.onResources([
    { key: { kind: 'Service', namespace: 'a', name: 'a' }, resource: null },
    {
      key: { kind: 'Service', namespace: 'c', name: 'c' },
      resource: service('c/c', { clusterIP: '10.96.0.3' }),
    },
  ]);
  rig.graph.flush(rig.told.hear);
  assert.deepEqual(rig.news(), ['- Service/a/a', '+ Service/c/c']);
  const waiting = new ServiceGraph({ node: 'here' });
  waiting.onResources([{ key: keyOf(service('a/a')), resource: service('a/a') }]);
  assert.ok(waiting.flush(() => assert.fail('too early')));
});

test('a flush that pauses says nothing in between and goes on where it was', () => {
  const rig = new ServiceRig([]);
  rig.news();
  const services = Array.from({ length: 10 }, (_, i) =>
    service(`a/s${i}`, { clusterIP: `10.96.0.${i + 1}` }),
  );
  rig.graph.onResources(
    services.map((resource) => ({
      key: { kind: 'Service', namespace: 'a', name: resource.metadata.name },
      resource,
    })),
  );
  let pauses = 0;
  while (!rig.graph.flush(rig.told.hear, () => true)) {
    pauses++;
    assert.equal(rig.told.heard.length, 0);
  }
  assert.ok(pauses >= 10);
  assert.equal(rig.news().length, 10);
});
