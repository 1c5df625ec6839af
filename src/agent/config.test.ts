// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvalidError, UsageError } from '../lib/errors.ts';
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
    datastore: '/db',
    socket: '/run/muslin/agent.sock',
    bpf: '/sys/fs/bpf/muslin',
    interfacePrefix: 'veth',
    endpointToHost: 'accept',
    logLevel: 'warn',
  });
  assert.equal(agentConfig({ datastore: '/db' }, { NODENAME: 'other' }).node, 'other');
  assert.equal(agentConfig(least, {}).endpointToHost, 'drop');
});

test('what is missing or wrong is named', () => {
  assert.throws(
    () => agentConfig({ datastore: '/db' }, {}),
    (error) => error instanceof UsageError && /NODENAME/.test(error.message),
  );
  const wrong = { FELIX_DefaultEndpointToHostAction: 'maybe' };
  assert.throws(
    () => agentConfig(least, wrong),
    (error) => error instanceof InvalidError && /maybe.*drop, return, accept/.test(error.message),
  );
  assert.throws(() => agentConfig(least, { FELIX_InterfacePrefix: 'a b' }), InvalidError);
});
