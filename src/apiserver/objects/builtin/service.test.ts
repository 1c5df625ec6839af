// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json, JsonObject } from '../../../model/types.ts';
import { ApiError } from '../api-error.ts';
import { listAt, mapAt, memberOf, valueAt } from '../json.ts';
import type { ApiObject } from '../object.ts';
import type { RequestContext } from '../served-resource.ts';
import { services } from './service.ts';

function service(name: string, spec: JsonObject): ApiObject {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'n' }, spec } as ApiObject;
}

function context(
  stored: readonly ApiObject[],
  ranges: readonly string[] = ['10.0.0.0/29'],
  uid = '000000000000',
): RequestContext {
  return {
    now: new Date(0),
    newUid: () => uid,
    newSuffix: (length) => 'x'.repeat(length),
    lookup: () => null,
    list: () => stored,
    services: { ranges, nodePorts: { first: 30000, last: 30002 } },
  };
}

const { rules } = services;

function born(
  name: string,
  spec: JsonObject,
  stored: readonly ApiObject[] = [],
  ranges?: readonly string[],
  uid?: string,
): JsonObject {
  const at = context(stored, ranges, uid);
  return mapAt(
    rules.prepareForCreate(
      rules.fillIn(
        service(name, {
          ports: [{ port: 80, protocol: 'TCP' }],
          type: 'ClusterIP',
          sessionAffinity: 'None',
          ...spec,
        }),
      ),
      at,
    ),
    'spec',
  );
}

test('each Service gets an address of its own, until there is none', () => {
  const stored: ApiObject[] = [];
  const seen = new Set<Json | undefined>();
  // A /29 has eight addresses, without its own, the server's, and the broadcast address.
  for (let i = 0; i < 5; i++) {
    const spec = born(`s${i}`, {}, stored, undefined, `${i}7${i}3`);
    seen.add(spec.clusterIP);
    stored.push(service(`s${i}`, spec));
  }
  assert.deepEqual([...seen].sort(), ['10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5', '10.0.0.6']);
  assert.throws(() => born('s9', {}, stored), ApiError);
});

test('an address that is asked for is given when it is free', () => {
  assert.equal(born('a', { clusterIP: '10.0.0.5' }).clusterIP, '10.0.0.5');
  const holder = service('b', { clusterIPs: ['10.0.0.5'] });
  assert.throws(() => born('a', { clusterIP: '10.0.0.5' }, [holder]), /already allocated/);
});

test('dual stack, single stack of either family', () => {
  const ranges = ['10.0.0.0/29', 'fd00::/120'];
  const families = (spec: JsonObject) => valueAt(born('a', spec, [], ranges), 'ipFamilies');
  assert.deepEqual(families({}), ['IPv4']);
  assert.deepEqual(families({ ipFamilies: ['IPv6'] }), ['IPv6']);
  assert.deepEqual(families({ ipFamilyPolicy: 'PreferDualStack' }), ['IPv4', 'IPv6']);
  assert.deepEqual(families({ ipFamilies: ['IPv6', 'IPv4'], ipFamilyPolicy: 'RequireDualStack' }), [
    'IPv6',
    'IPv4',
  ]);
});

test('node ports are given once, and stay with their port', () => {
  const old = service(
    'a',
    born('a', {
      type: 'NodePort',
      ports: [
        { port: 1, protocol: 'TCP' },
        { port: 2, protocol: 'TCP' },
      ],
    }),
  );
  const [first, second] = listAt(old, 'spec', 'ports').map((one) => memberOf(one, 'nodePort'));
  assert.notEqual(first, second);
  const sent = service('a', {
    type: 'NodePort',
    sessionAffinity: 'None',
    ports: [{ port: 2, protocol: 'TCP' }],
  });
  const next = rules.prepareForUpdate(rules.fillIn(sent), old, 'main', context([old]));
  assert.deepEqual(valueAt(next, 'spec', 'ports'), [
    { port: 2, protocol: 'TCP', targetPort: 2, nodePort: second ?? 0 },
  ]);
  assert.equal(valueAt(next, 'spec', 'clusterIP'), valueAt(old, 'spec', 'clusterIP'));
});

test('what belongs to the old type goes with it', () => {
  const old = service('a', born('a', { type: 'LoadBalancer', externalTrafficPolicy: 'Local' }));
  assert.equal(typeof valueAt(old, 'spec', 'healthCheckNodePort'), 'number');
  const sent = { ...old, spec: { ...mapAt(old, 'spec'), type: 'ExternalName', externalName: 'x.test' } };
  const next = rules.prepareForUpdate(rules.fillIn(sent), old, 'main', context([old]));
  const left = Object.keys(mapAt(next, 'spec')).sort();
  assert.deepEqual(left, ['externalName', 'ports', 'sessionAffinity', 'type']);
});
