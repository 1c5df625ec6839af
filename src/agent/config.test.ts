// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { cgroupRoot } from '../kernel/cgroup.ts';
import { InvalidError, NotFoundError, UsageError } from '../lib/errors.ts';
import { agentConfig } from './config.ts';

const least = { node: 'n', datastore: '/db' };

test('arguments beat environment, environment beats defaults, FELIX_ names count in any case', () => {
  const env = {
    NODENAME: 'other',
    Felix_interfacePREFIX: 'veth',
    FELIX_DEFAULTENDPOINTTOHOSTACTION: 'Accept',
    FELIX_LogSeverityScreen: 'Warning',
  };
  assert.deepEqual(agentConfig(least, env), {
    node: 'n',
    dataplane: 'nftables',
    datastore: { type: 'embedded', file: '/db' },
    socket: '/run/muslin/agent.sock',
    bpf: '/sys/fs/bpf/muslin',
    cgroup: cgroupRoot(),
    mapSizes: { flows: 512_000, routes: 262_144, sets: 1_048_576, nets: 1_048_576, affinities: 65_536 },
    interfacePrefix: 'veth',
    logLevel: 'warn',
    local: {
      file: new Map(),
      environment: new Map([
        ['interfacePREFIX', 'veth'],
        ['DEFAULTENDPOINTTOHOSTACTION', 'Accept'],
        ['LogSeverityScreen', 'Warning'],
      ]),
    },
  });
  assert.equal(agentConfig({ datastore: '/db' }, { NODENAME: 'other' }).node, 'other');
  assert.equal(agentConfig(least, {}).interfacePrefix, 'cali');
  assert.equal(agentConfig(least, { FELIX_BPFMAPSIZECONNTRACK: '1000' }).mapSizes.flows, 1000);
});

test('the data plane is named, or ebpf where Felix is told so in its own words', () => {
  const dataplane = (args: object, env: { readonly [name: string]: string } = {}) =>
    agentConfig({ ...least, ...args }, env).dataplane;
  assert.equal(dataplane({}), 'nftables');
  assert.equal(dataplane({}, { FELIX_BPFENABLED: 'true' }), 'ebpf');
  assert.equal(dataplane({}, { FELIX_BPFENABLED: 'perhaps' }), 'nftables');
  assert.equal(dataplane({ dataplane: 'nftables' }, { FELIX_BPFENABLED: 'true' }), 'nftables');
  assert.equal(dataplane({ dataplane: 'ebpf' }), 'ebpf');
  assert.throws(
    () => dataplane({ dataplane: 'tarot' }),
    (error) => error instanceof UsageError && /got tarot, want nftables or ebpf/.test(error.message),
  );
  assert.equal(agentConfig({ ...least, cgroup: '/c' }, {}).cgroup, '/c');
});

test('a file in the form of felix.cfg is read, and the environment beats it', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'felix-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'felix.cfg');
  writeFileSync(file, '[global]\n# why\nInterfacePrefix = tap ; OpenStack\nLogSeverityScreen=Debug\n');
  const config = agentConfig({ ...least, configFile: file }, { FELIX_LogSeverityScreen: 'Error' });
  assert.deepEqual([config.interfacePrefix, config.logLevel], ['tap', 'error']);
  writeFileSync(file, '[global]\nInterfacePrefix tap\n');
  assert.throws(
    () => agentConfig({ ...least, configFile: file }, {}),
    (error) => error instanceof InvalidError && /felix.cfg:2: .*want Name = value/.test(error.message),
  );
  assert.throws(() => agentConfig({ ...least, configFile: `${file}.gone` }, {}), NotFoundError);
});

test('what is missing or wrong is named', () => {
  assert.throws(
    () => agentConfig({ datastore: '/db' }, {}),
    (error) => error instanceof UsageError && /NODENAME/.test(error.message),
  );
  const wrong = { FELIX_DefaultEndpointToHostAction: 'maybe' };
  assert.throws(
    () => agentConfig(least, wrong),
    (error) =>
      error instanceof InvalidError &&
      /^cannot start: defaultEndpointToHostAction in the environment: got "maybe", want Drop, Accept or Return$/.test(
        error.message,
      ),
  );
  assert.throws(() => agentConfig(least, { FELIX_InterfacePrefix: 'a b' }), InvalidError);
  assert.throws(() => agentConfig(least, { FELIX_FailsafeInboundHostPorts: 'ssh' }), InvalidError);
  assert.equal(agentConfig(least, { FELIX_VXLANPort: 'many' }).node, 'n'); // the graph takes the default and says so
});
