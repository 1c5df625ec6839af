// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from './api-error.ts';
import { networkPolicies } from './builtin/network-policy.ts';
import { pods } from './builtin/pod.ts';
import type { ApiObject } from './object.ts';
import { matchesFields, matchesLabels, parseFieldSelector, parseLabelSelector } from './selectors.ts';

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof ApiError && error.code === 400) return error.message;
    throw error;
  }
  return '';
}

test('label selectors select', () => {
  const labels = { app: 'web', n: '5', 'example.test/role': '', spare: 'x' };
  const table: [string, boolean][] = [
    ['', true],
    ['app=web', true],
    ['app==web', true],
    ['app!=web', false],
    ['none!=web', true],
    ['app in (db, web)', true],
    ['app notin (db)', true],
    ['none notin (db)', true],
    ['none in (db)', false],
    ['app', true],
    ['!app', false],
    ['!none', true],
    ['n>4,n<6', true],
    ['n>5', false],
    ['spare>1', false],
    ['none<1', false],
    ['example.test/role', true],
    ['example.test/role=', true],
    ['example.test/role in (a,)', true],
    ['app=web,!none,n', true],
    ['app=web,none', false],
    ['  app  =  web  ', true],
    ['in in (a)', false],
  ];
  for (const [text, expected] of table)
    assert.equal(matchesLabels(parseLabelSelector(text), labels), expected, text);
  assert.equal(matchesLabels(parseLabelSelector('!app'), undefined), true);
});

test('a broken label selector is refused in the words of a real server', () => {
  const table: [string, RegExp][] = [
    ['app in web', /^unable to parse requirement: found 'web' expected: '\('$/],
    ['a b=c', /^unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt$/],
    [
      'app=no/slash',
      /^unable to parse requirement: values\[0\]\[app\]: Invalid value: "no\/slash": a valid label/,
    ],
    ['n>x', /the value must be an integer$/],
    ['app=web,', /^found '', expected: identifier after ','$/],
    ['!', /^unable to parse requirement: found '', expected: identifier$/],
    ['app in (a', /found '', expected: ',' or '\)'/],
    ['a=b c', /found 'c'/],
    ['-a', /name part must consist/],
    ['=', /found '='/],
    ['app=(', /found '\('/],
  ];
  for (const [text, message] of table)
    assert.match(
      refusal(() => parseLabelSelector(text)),
      message,
      text,
    );
});

test('field selectors name what the kind lets them', () => {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'a', namespace: 'b' },
    spec: { nodeName: 'n1' },
    status: { phase: 'Running', podIPs: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }] },
  } as ApiObject;
  const table: [string, boolean][] = [
    ['', true],
    ['spec.nodeName=n1', true],
    ['spec.nodeName!=n1', false],
    ['spec.nodeName==n1,status.phase=Running', true],
    ['status.phase=Pending', false],
    ['metadata.name=a,metadata.namespace=b', true],
    ['spec.hostNetwork=false', true],
    ['status.nominatedNodeName=', true],
    ['status.podIPs=10.0.0.1\\,fd00::1', true],
  ];
  for (const [text, expected] of table)
    assert.equal(matchesFields(parseFieldSelector(text, pods), pods, pod), expected, text);
  assert.equal(
    refusal(() => parseFieldSelector('spec.x=1', pods)),
    'field label not supported: spec.x',
  );
  assert.equal(
    refusal(() => parseFieldSelector('spec.x=1', networkPolicies)),
    '"spec.x" is not a known field selector: only "metadata.name", "metadata.namespace"',
  );
  const term = "invalid selector: 'metadata.name in (a)'; can't understand 'metadata.name in (a)'";
  assert.equal(
    refusal(() => parseFieldSelector('metadata.name in (a)', pods)),
    term,
  );
});
