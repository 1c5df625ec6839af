// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { collect } from '../validate/check.ts';
import { compileSchema } from '../validate/structural.ts';
import { felixDefaults } from './defaults.ts';
import { allParameters, effectOf, parameterOf, readParameter } from './parameters.ts';

test('every default belongs to a parameter and is a value that it may have', () => {
  for (const name of Object.keys(felixDefaults)) assert.equal(parameterOf(name)?.name, name);
  for (const { name, schema, fallback } of allParameters()) {
    if (fallback !== null) assert.deepEqual(collect(compileSchema(schema), fallback), [], name);
  }
});

test('what is let through and kept out by default is as in Felix', () => {
  const ports = (name: string) =>
    (felixDefaults[name] as unknown as { protocol: string; port: number }[])
      .map(({ protocol, port }) => `${protocol.toLowerCase()}:${port}`)
      .join(' ');
  assert.equal(
    ports('failsafeInboundHostPorts'),
    'tcp:22 tcp:179 tcp:2379 tcp:2380 tcp:5473 tcp:6443 tcp:6666 tcp:6667 udp:68',
  );
  assert.equal(
    ports('failsafeOutboundHostPorts'),
    'tcp:179 tcp:2379 tcp:2380 tcp:5473 tcp:6443 tcp:6666 tcp:6667 udp:53 udp:67',
  );
  const others = [
    ['defaultEndpointToHostAction', 'Drop'],
    ['disableConntrackInvalidCheck', false],
    ['allowVXLANPacketsFromWorkloads', false],
    ['allowIPIPPacketsFromWorkloads', false],
    ['vxlanPort', 4789],
    ['logPrefix', 'calico-packet'],
    ['interfacePrefix', 'cali'],
    ['logSeverityScreen', 'Info'],
  ] as const;
  for (const [name, value] of others) assert.equal(parameterOf(name)?.fallback, value, name);
});

test('names in any case; 187 parameters of the resource and those of file and environment alone', () => {
  assert.equal(parameterOf('BPFENABLED')?.name, 'bpfEnabled');
  assert.equal(parameterOf('nodeSelector'), null, 'it says which nodes, it is no setting');
  assert.equal(parameterOf('__proto__'), null);
  const rows = [...allParameters()];
  assert.equal(rows.filter(({ isLocal }) => !isLocal).length, 187);
  assert.equal(parameterOf('TyphaCAFile')?.isLocal, true);
});

test('text becomes what the parameter holds', () => {
  const table: readonly (readonly [string, string, unknown])[] = [
    ['vxlanPort', '4790', 4790],
    ['iptablesMarkMask', '0xff000000', 0xff000000],
    ['ipv6Support', 'No', false],
    ['healthEnabled', '1', true],
    ['interfaceRefreshInterval', '90', '90s'],
    ['interfaceRefreshInterval', '1m30s', '1m30s'],
    ['interfacePrefix', 'cali,tap', 'cali,tap'],
    ['defaultEndpointToHostAction', 'ACCEPT', 'ACCEPT'],
    ['kubeNodePortRanges', '30000:32767,40000', ['30000:32767', '40000']],
    ['externalNodesList', 'none', []],
    ['wireguardMTU', 'none', 0],
    ['routeTableRange', '{"min": 1, "max": 250}', { min: 1, max: 250 }],
  ];
  for (const [name, text, value] of table) {
    const parameter = parameterOf(name);
    assert.ok(parameter);
    assert.deepEqual(readParameter(parameter, text), { value }, `${name}=${text}`);
  }
});

test('what cannot be read is said with what was found and what is wanted', () => {
  const table: readonly (readonly [string, string, RegExp])[] = [
    ['vxlanPort', 'many', /got "many"/],
    ['vxlanPort', '70000', /got 70000/],
    ['ipv6Support', 'perhaps', /got "perhaps", want true or false/],
    ['failsafeInboundHostPorts', 'tcp:ssh', /got "tcp:ssh"/],
    ['bpfConntrackMode', 'Maybe', /got "Maybe"/],
    ['routeTableRange', '{', /got "\{"/],
  ];
  for (const [name, text, message] of table) {
    const parameter = parameterOf(name);
    assert.ok(parameter);
    const read = readParameter(parameter, text);
    assert.match('fault' in read ? read.fault : 'no fault', message, `${name}=${text}`);
  }
});

test('what has an effect is said, everything else has none yet', () => {
  assert.equal(effectOf('vxlanPort'), 'at once');
  assert.equal(effectOf('interfacePrefix'), 'when the agent starts');
  const count = [...allParameters()].filter(({ name }) => effectOf(name) !== 'none yet').length;
  assert.equal(count, 22);
});
