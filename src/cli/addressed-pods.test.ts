// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pod } from '../../test/support/resources.ts';
import type { Address } from '../lib/brand.ts';
import { podAddresses } from '../model/kubernetes/pod.ts';
import { addressedPods } from './addressed-pods.ts';

test('pods are given addresses but where they have or chose some, and the same ones in every state of a cluster', () => {
  const chosen = pod('ns/c', { annotations: { 'cni.projectcalico.org/ipAddrs': '["10.65.0.9"]' } });
  const running = { ...pod('ns/d', {}), status: { podIP: '10.65.0.10' } };
  const [a, b] = [pod('ns/a', {}), pod('ns/b', {})];
  const given = new Map<string, readonly Address[]>();
  const first = addressedPods([a, chosen, running], given);
  assert.deepEqual(first.resources.map(podAddresses), [
    ['198.18.0.1', '2001:2::1'],
    ['10.65.0.9'],
    ['10.65.0.10'],
  ]);
  assert.equal(first.imagined, 1);
  const second = addressedPods([b, a], given);
  assert.deepEqual(second.resources.map(podAddresses), [
    ['198.18.0.2', '2001:2::2'],
    ['198.18.0.1', '2001:2::1'],
  ]);
});
