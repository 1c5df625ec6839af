// SPDX-License-Identifier: Apache-2.0
/** Tiers, the order of policies in them, the directions that they govern; profiles behind them. */
import { endpoint, policy, profile, rule, tier } from './build.ts';
import { type State, state } from './state.ts';

const pod = endpoint('a/x', ['10.0.0.1'], { labels: { app: 'x' } });
const both = { ingress: true, egress: true };
const allow = rule('allow');

export const orderStates: readonly State[] = [
  state(
    'tiers by order, unset last, name breaks ties',
    [
      pod,
      tier('b', 1),
      tier('a', 1, 'pass'),
      tier('z', 0),
      tier('unset', Number.POSITIVE_INFINITY),
      ...['a', 'b', 'z', 'unset'].map((name) => policy(`in-${name}`, { tier: name })),
    ],
    {
      policies: Object.fromEntries(
        ['a', 'b', 'z', 'unset'].map((name) => [`GlobalNetworkPolicy/in-${name}`, [`tier ${name}`]]),
      ),
      endpoints: {
        'WorkloadEndpoint/a/x': [
          'up 10.0.0.1',
          'z deny: in in-z out -',
          'a pass: in in-a out -',
          'b deny: in in-b out -',
          'unset deny: in in-unset out -',
        ],
      },
    },
  ),
  state(
    'a tier that does not exist denies after all that do',
    [
      pod,
      tier('unset', Number.POSITIVE_INFINITY, 'pass'),
      ...['gone', 'also-gone', 'unset'].map((name) => policy(`in-${name}`, { tier: name })),
    ],
    {
      policies: Object.fromEntries(
        ['gone', 'also-gone', 'unset'].map((name) => [`GlobalNetworkPolicy/in-${name}`, [`tier ${name}`]]),
      ),
      endpoints: {
        'WorkloadEndpoint/a/x': [
          'up 10.0.0.1',
          'unset pass: in in-unset out -',
          'also-gone deny: in in-also-gone out -',
          'gone deny: in in-gone out -',
        ],
      },
    },
  ),
  state(
    'policies by order, then name, namespace and kind',
    [
      pod,
      tier('default', 1),
      policy('late', { order: 20 }),
      policy('early', { order: 10.5 }),
      policy('same', {}),
      policy('same', { namespace: 'a' }),
      policy('same', { namespace: 'b' }),
      policy('same', { namespace: 'a', kind: 'KubernetesNetworkPolicy' }),
    ],
    {
      policies: Object.fromEntries(
        [
          'GlobalNetworkPolicy/late',
          'GlobalNetworkPolicy/early',
          'GlobalNetworkPolicy/same',
          'NetworkPolicy/a/same',
          'NetworkPolicy/b/same',
          'KubernetesNetworkPolicy/a/same',
        ].map((path) => [path, ['tier default']]),
      ),
      endpoints: {
        'WorkloadEndpoint/a/x': ['up 10.0.0.1', 'default deny: in early late same same same same out -'],
      },
    },
  ),
  state(
    'the same policies in another order',
    [pod, tier('default', 1), policy('late', { order: 5 }), policy('early', { order: 10.5, tier: 'other' })],
    {
      policies: { 'GlobalNetworkPolicy/late': ['tier default'], 'GlobalNetworkPolicy/early': ['tier other'] },
      endpoints: {
        'WorkloadEndpoint/a/x': ['up 10.0.0.1', 'default deny: in late out -', 'other deny: in early out -'],
      },
    },
  ),
  state(
    'a direction that a policy does not govern has no rules',
    [
      pod,
      policy('in', { ingress: [allow], egress: [rule('allow', { to: { selector: 'has(x)' } })] }),
      policy('out', { types: { ingress: false, egress: true }, ingress: [allow], egress: [allow] }),
      policy('none', { types: { ingress: false, egress: false }, ingress: [allow] }),
    ],
    {
      policies: {
        'GlobalNetworkPolicy/in': ['tier default', 'in allow'],
        'GlobalNetworkPolicy/out': ['tier default', 'out allow'],
        'GlobalNetworkPolicy/none': ['tier default'],
      },
      endpoints: { 'WorkloadEndpoint/a/x': ['up 10.0.0.1', 'default deny: in in out out'] },
    },
  ),
  state(
    'a profile that does not exist is missing',
    [
      endpoint('a/x', ['10.0.0.1'], { profiles: ['p', 'q'], adminUp: false }),
      profile('q', {}, { egress: [allow] }),
    ],
    {
      profiles: { p: ['missing'], q: ['out allow'] },
      endpoints: { 'WorkloadEndpoint/a/x': ['down 10.0.0.1', 'profile p', 'profile q'] },
    },
  ),
  state(
    'the profile appears, with rules that need sets',
    [
      endpoint('a/x', ['10.0.0.1'], { profiles: ['p', 'q'] }),
      endpoint('a/y', ['10.0.0.2'], { profiles: ['p'] }),
      profile(
        'p',
        { l: '1' },
        { ingress: [rule('allow', { from: { selector: 'has(l)' } })], egress: [allow] },
      ),
      profile('unused', {}, { ingress: [allow] }),
    ],
    {
      sets: { 'has(l)': ['10.0.0.1/32', '10.0.0.2/32'] },
      profiles: { p: ['in allow from [has(l)]', 'out allow'], q: ['missing'] },
      endpoints: {
        'WorkloadEndpoint/a/x': ['up 10.0.0.1', 'profile p', 'profile q'],
        'WorkloadEndpoint/a/y': ['up 10.0.0.2', 'profile p'],
      },
    },
  ),
  state(
    'every condition of a rule arrives',
    [
      pod,
      policy('p', {
        types: both,
        ingress: [
          rule('log', {
            ipVersion: 4,
            protocol: 6,
            from: { nets: ['10.0.0.0/8'], notNets: ['10.1.0.0/16'] },
          }),
          rule('pass', { protocol: 1, icmp: { type: 8, code: 0 } }),
          rule('deny', { protocol: 58, notIcmp: { type: 128 } }),
        ],
        egress: [
          rule('deny', { notProtocol: 17 }),
          rule('allow', {
            protocol: 132,
            from: { notPorts: [{ first: 1, last: 2 }] },
            to: { ports: [{ first: 80, last: 80 }] },
          }),
        ],
      }),
    ],
    {
      policies: {
        'GlobalNetworkPolicy/p': [
          'tier default',
          'in log ipv4 tcp from 10.0.0.0/8 !10.1.0.0/16',
          'in pass icmp icmp 8/0',
          'in deny icmpv6 !icmp 128/*',
          'out deny !udp',
          'out allow sctp from !1-2 to 80-80',
        ],
      },
      endpoints: { 'WorkloadEndpoint/a/x': ['up 10.0.0.1', 'default deny: in p out p'] },
    },
  ),
  state(
    'selectors that do not parse close',
    [
      pod,
      policy('bad', { selector: '!!' }),
      policy('bad-rules', {
        ingress: [
          rule('allow', { from: { selector: 'a ==' } }),
          rule('log', { from: { notSelector: '(' } }),
          rule('pass', { protocol: 6, from: { selector: 'a ==' }, to: { nets: ['10.0.0.0/8'] } }),
        ],
      }),
    ],
    {
      policies: {
        'GlobalNetworkPolicy/bad': ['tier default', 'in deny'],
        'GlobalNetworkPolicy/bad-rules': ['tier default', 'in deny tcp to 10.0.0.0/8'],
      },
      endpoints: { 'WorkloadEndpoint/a/x': ['up 10.0.0.1', 'default deny: in bad bad-rules out -'] },
    },
  ),
];
