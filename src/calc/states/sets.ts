// SPDX-License-Identifier: Apache-2.0
/** Members of IP sets: shared addresses, nested CIDRs, named ports. */
import type { Update } from '../../model/types.ts';
import { endpoint, networkSet, policy, rule } from './build.ts';
import { type State, state } from './state.ts';

const target = endpoint('a/t', ['10.9.9.9'], { labels: { role: 'target' } });
const fromPeers = policy('p', {
  selector: 'role == "target"',
  ingress: [rule('allow', { from: { selector: 'peer == "yes"' } })],
});
const peers = { labels: { peer: 'yes' } };

/** What a set of these peers holds. */
function members(name: string, inputs: readonly Update[], expected: readonly string[]): State {
  return state(name, [target, fromPeers, ...inputs], {
    sets: { 'peer == "yes"': expected },
    policies: { 'GlobalNetworkPolicy/p': ['tier default', 'in allow from [peer == "yes"]'] },
    endpoints: { 'WorkloadEndpoint/a/t': ['up 10.9.9.9', 'default deny: in p out -'] },
  });
}

const first = endpoint('b/1', ['10.0.0.1'], { ...peers, node: 'remote' });
const second = endpoint('b/2', ['10.0.0.1', '10.0.0.2'], { ...peers, node: 'remote' });

const http = [
  { name: 'http', protocol: 6, port: 80 },
  { name: 'http', protocol: 17, port: 8080 },
  { name: 'admin', protocol: 6, port: 9000 },
];
const served = endpoint('a/t', ['10.9.9.9', 'fd00::9'], { labels: { role: 'target' }, ports: http });
const servedLines = ['up 10.9.9.9 fd00::9', 'default deny: in p out -'];

export const setStates: readonly State[] = [
  members('a set without members', [], []),
  members('one endpoint', [first], ['10.0.0.1/32']),
  members('an address shared by two endpoints', [first, second], ['10.0.0.1/32', '10.0.0.2/32']),
  members('the other endpoint alone', [second], ['10.0.0.1/32', '10.0.0.2/32']),
  members(
    'a network set over endpoints hides them',
    [first, second, networkSet('n', ['10.0.0.0/24'], peers)],
    ['10.0.0.0/24'],
  ),
  members(
    'CIDRs nested three deep',
    [
      first,
      networkSet('n', ['10.0.0.0/24', '10.0.0.0/8', 'fd00::/64', 'fd00::1/128'], peers),
      networkSet('m', ['10.0.0.0/16', '10.0.0.0/8', '11.0.0.0/8'], peers),
    ],
    ['10.0.0.0/8', '11.0.0.0/8', 'fd00::/64'],
  ),
  members(
    'CIDRs nested two deep',
    [first, networkSet('n', ['10.0.0.0/24'], peers), networkSet('m', ['10.0.0.0/16'], peers)],
    ['10.0.0.0/16'],
  ),
  members(
    'everything is two halves',
    [first, networkSet('n', ['0.0.0.0/0', '::/0'], peers)],
    ['0.0.0.0/1', '128.0.0.0/1', '8000::/1', '::/1'],
  ),
  members(
    'a half counts twice beside everything',
    [networkSet('n', ['0.0.0.0/0'], peers), networkSet('m', ['0.0.0.0/1'], peers)],
    ['0.0.0.0/1', '128.0.0.0/1'],
  ),
  members('a half alone', [networkSet('m', ['0.0.0.0/1'], peers)], ['0.0.0.0/1']),
  members(
    'a net named twice counts twice',
    [networkSet('n', ['192.0.2.0/24', '192.0.2.0/24'], peers)],
    ['192.0.2.0/24'],
  ),
  state(
    'a named port of one protocol, restricted by the selector',
    [
      served,
      endpoint('b/other', ['10.0.0.7'], { ports: http, node: 'remote' }),
      policy('p', {
        selector: 'role == "target"',
        ingress: [rule('allow', { protocol: 6, to: { selector: 'has(role)', namedPorts: ['http'] } })],
      }),
    ],
    {
      sets: {
        'has(role)': ['10.9.9.9/32', 'fd00::9/128'],
        'has(role) port http (tcp)': ['10.9.9.9,tcp:80', 'fd00::9,tcp:80'],
      },
      policies: {
        'GlobalNetworkPolicy/p': ['tier default', 'in allow tcp to [has(role)] [has(role) port http (tcp)]'],
      },
      endpoints: { 'WorkloadEndpoint/a/t': servedLines },
    },
  ),
  state(
    'a named port of any protocol on any endpoint, and one excluded',
    [
      served,
      endpoint('b/other', ['10.0.0.7'], { ports: http, node: 'remote' }),
      networkSet('n', ['192.0.2.0/24'], { labels: { role: 'target' } }),
      policy('p', {
        selector: 'role == "target"',
        ingress: [
          rule('deny', {
            to: { namedPorts: ['http'], ports: [{ first: 1, last: 9 }], notNamedPorts: ['admin'] },
          }),
        ],
      }),
    ],
    {
      sets: {
        'all() port http (any protocol)': [
          '10.0.0.7,tcp:80',
          '10.0.0.7,udp:8080',
          '10.9.9.9,tcp:80',
          '10.9.9.9,udp:8080',
          'fd00::9,tcp:80',
          'fd00::9,udp:8080',
        ],
        'all() port admin (any protocol)': ['10.0.0.7,tcp:9000', '10.9.9.9,tcp:9000', 'fd00::9,tcp:9000'],
      },
      policies: {
        'GlobalNetworkPolicy/p': [
          'tier default',
          'in deny to 1-9 [all() port http (any protocol)] ![all() port admin (any protocol)]',
        ],
      },
      endpoints: { 'WorkloadEndpoint/a/t': servedLines },
    },
  ),
  state(
    'two spellings of a selector share a set',
    [
      target,
      policy('p', {
        selector: 'role == "target"',
        ingress: [rule('allow', { from: { selector: "role in {'b','a'}" } })],
        types: { ingress: true, egress: true },
        egress: [rule('allow', { to: { selector: 'role in { "a", "b", "b" }' } })],
      }),
    ],
    {
      sets: { 'role in {"a", "b"}': [] },
      policies: {
        'GlobalNetworkPolicy/p': [
          'tier default',
          'in allow from [role in {"a", "b"}]',
          'out allow to [role in {"a", "b"}]',
        ],
      },
      endpoints: { 'WorkloadEndpoint/a/t': ['up 10.9.9.9', 'default deny: in p out p'] },
    },
  ),
];
