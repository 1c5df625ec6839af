// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultDataplaneConfig } from '../contract/config.ts';
import type { DataplaneConfig, DataplaneMessage } from '../contract/dataplane.ts';
import type { KeyPath } from '../lib/brand.ts';
import type { LocalWords } from '../model/felix/settings.ts';
import type { FelixConfigurationValue, Update } from '../model/types.ts';
import { buildGraph, type CalcGraph } from './graph.ts';
import { node } from './states/build.ts';

function felix(
  name: string,
  parameters: FelixConfigurationValue['parameters'],
  selected: { nodeSelector: string; created: string } | null = null,
): Update {
  const value = { name, nodeSelector: null, created: '', parameters, ...selected };
  return { kind: 'FelixConfiguration', path: `FelixConfiguration/${name}` as KeyPath, value };
}

function configs(graph: CalcGraph): DataplaneConfig[] {
  const messages: DataplaneMessage[] = [];
  graph.flush((message) => messages.push(message));
  return messages.flatMap((message) => (message.kind === 'config-update' ? [message.config] : []));
}

function graphWith(local?: LocalWords): CalcGraph {
  const graph = buildGraph({ node: 'n1', ...(local ? { local } : {}) });
  graph.onStatus('in-sync');
  return graph;
}

const words = (entries: { [name: string]: string }) => new Map(Object.entries(entries));
const absent = (update: Update): Update => ({ ...update, value: null });

test('without any setting a data plane gets the defaults, once', () => {
  const graph = graphWith();
  assert.deepEqual(configs(graph), [defaultDataplaneConfig]);
  assert.deepEqual(configs(graph), []);
});

test('each layer beats the one before: global, selector, node, file, environment', () => {
  const ports = ['4001', '4002', '4003', '4004', '4005'] as const;
  const global = felix('default', { vxlanPort: ports[0] });
  const selected = felix('rack', { vxlanPort: ports[1] }, { nodeSelector: 'rack == "a"', created: '2026' });
  const own = felix('node.n1', { vxlanPort: ports[2] });
  const others = [
    felix('node.n2', { vxlanPort: '1' }),
    felix('other', { vxlanPort: '1' }, { nodeSelector: 'rack == "b"', created: '2020' }),
  ];
  const labelled = { ...node('n1', '192.0.2.1') } as Extract<Update, { kind: 'Node' }>;
  const here = { ...labelled, value: labelled.value && { ...labelled.value, labels: { rack: 'a' } } };
  const graph = graphWith();
  const port = (...updates: Update[]) => {
    graph.onUpdates(updates);
    return configs(graph).map(({ vxlanPort }) => vxlanPort);
  };
  assert.deepEqual(port(...others), [4789]);
  assert.deepEqual(port(global), [4001]);
  assert.deepEqual(port(selected), []); // the node's labels are not known yet
  assert.deepEqual(port(here), [4002]);
  assert.deepEqual(port(own), [4003]);
  assert.deepEqual(port(absent(own), absent(here)), [4001]);

  const file = words({ VXLANPort: ports[3] });
  const environment = words({ vxlanport: ports[4] });
  const byFile = graphWith({ file, environment: new Map() });
  byFile.onUpdates([own]);
  assert.equal(configs(byFile)[0]?.vxlanPort, 4004);
  const byEnvironment = graphWith({ file, environment });
  byEnvironment.onUpdates([own]);
  assert.equal(configs(byEnvironment)[0]?.vxlanPort, 4005);
  assert.deepEqual(
    byEnvironment.settings().map(({ name, source }) => [name, source]),
    [['vxlanPort', 'environment']],
  );
});

test('of several selectors the oldest wins', () => {
  const graph = graphWith();
  graph.onUpdates([
    felix('new', { vxlanPort: '1' }, { nodeSelector: 'all()', created: '2026-02-01T00:00:00Z' }),
    felix('old', { vxlanPort: '2' }, { nodeSelector: 'all()', created: '2026-01-01T00:00:00Z' }),
    felix('old-too', { vxlanPort: '3' }, { nodeSelector: 'all()', created: '2026-01-01T00:00:00Z' }),
  ]);
  assert.equal(configs(graph)[0]?.vxlanPort, 2);
});

test('what cannot be read means the default, and is said', () => {
  const graph = graphWith();
  graph.onUpdates([
    felix('default', { vxlanPort: '4001', defaultEndpointToHostAction: 'ACCEPT', wireguardEnabled: 'true' }),
    felix('node.n1', { vxlanPort: 'many', nonsense: 'x', etcdAddr: 'h:1' }),
  ]);
  const [config] = configs(graph);
  assert.deepEqual([config?.vxlanPort, config?.endpointToHost], [4789, 'accept']);
  assert.deepEqual(
    graph.settings().map(({ name, effect, fault }) => [name, effect, fault !== undefined]),
    [
      ['defaultEndpointToHostAction', 'at once', false],
      ['etcdAddr', 'none yet', true],
      ['nonsense', 'none yet', true],
      ['vxlanPort', 'at once', true],
      ['wireguardEnabled', 'none yet', false],
    ],
  );
});

test('every setting of a data plane is read', () => {
  const graph = graphWith();
  graph.onUpdates([
    felix('default', {
      defaultEndpointToHostAction: 'Return',
      disableConntrackInvalidCheck: 'true',
      allowVXLANPacketsFromWorkloads: 'true',
      allowIPIPPacketsFromWorkloads: 'true',
      vxlanPort: '8472',
      logPrefix: 'policy',
      failsafeInboundHostPorts: 'tcp:22',
      failsafeOutboundHostPorts: 'none',
    }),
  ]);
  assert.deepEqual(configs(graph), [
    {
      endpointToHost: 'return',
      failsafeInbound: [{ protocol: 6, port: 22 }],
      failsafeOutbound: [],
      vxlanFromWorkloads: true,
      ipipFromWorkloads: true,
      vxlanPort: 8472,
      dropInvalid: false,
      logPrefix: 'policy',
    } satisfies DataplaneConfig,
  ]);
});

test('failsafe ports as Felix writes them', () => {
  const read = (text: string) => {
    const graph = graphWith({ file: new Map(), environment: words({ FailsafeInboundHostPorts: text }) });
    return configs(graph)[0]?.failsafeInbound;
  };
  assert.deepEqual(read('none'), []);
  assert.deepEqual(read('22, udp:68,tcp:10.0.0.0/8:1,tcp:[fd00::/8]:2'), [
    { protocol: 6, port: 22 },
    { protocol: 17, port: 68 },
    { protocol: 6, port: 1, net: '10.0.0.0/8' },
    { protocol: 6, port: 2, net: 'fd00::/8' },
  ]);
  assert.deepEqual(read('tcp:ssh'), defaultDataplaneConfig.failsafeInbound);
});
