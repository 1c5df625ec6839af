// SPDX-License-Identifier: Apache-2.0
/** Which endpoints selectors find: own labels, inherited ones, and both sides of every change. */
import { endpoint, networkSet, policy, profile, rule } from './build.ts';
import { type State, state } from './state.ts';

const web = endpoint('a/web', ['10.0.0.1'], { labels: { app: 'web' } });
const fromWeb = policy('p', {
  selector: 'app == "web"',
  ingress: [rule('allow', { from: { selector: 'app == "web"' } })],
});
const policies = { 'GlobalNetworkPolicy/p': ['tier default', 'in allow from [app == "web"]'] };

export const labelStates: readonly State[] = [
  state('a policy without endpoint', [fromWeb], {}),
  state('an endpoint without policy', [web], { endpoints: { 'WorkloadEndpoint/a/web': ['up 10.0.0.1'] } }),
  state('a policy that selects an endpoint', [web, fromWeb], {
    sets: { 'app == "web"': ['10.0.0.1/32'] },
    policies,
    endpoints: { 'WorkloadEndpoint/a/web': ['up 10.0.0.1', 'default deny: in p out -'] },
  }),
  state(
    'the endpoint has another label',
    [endpoint('a/web', ['10.0.0.1'], { labels: { app: 'db' } }), fromWeb],
    { endpoints: { 'WorkloadEndpoint/a/web': ['up 10.0.0.1'] } },
  ),
  state(
    'a policy that selects only remote endpoints is not active',
    [endpoint('a/web', ['10.0.0.1'], { labels: { app: 'web' }, node: 'remote' }), fromWeb],
    {},
  ),
  state(
    'remote endpoints are members of sets',
    [web, fromWeb, endpoint('b/web', ['10.1.0.1', 'fd00::1'], { labels: { app: 'web' }, node: 'remote' })],
    {
      sets: { 'app == "web"': ['10.0.0.1/32', '10.1.0.1/32', 'fd00::1/128'] },
      policies,
      endpoints: { 'WorkloadEndpoint/a/web': ['up 10.0.0.1', 'default deny: in p out -'] },
    },
  ),
  state(
    'labels are inherited from a profile',
    [
      endpoint('a/web', ['10.0.0.1'], { profiles: ['kns.a'] }),
      profile('kns.a', { 'pcns.team': 'red' }),
      networkSet('a/n', ['192.0.2.0/24'], { profiles: ['kns.a'] }),
      policy('p', {
        selector: 'pcns.team == "red"',
        ingress: [rule('deny', { from: { selector: 'has(pcns.team)' } })],
      }),
    ],
    {
      sets: { 'has(pcns.team)': ['10.0.0.1/32', '192.0.2.0/24'] },
      policies: { 'GlobalNetworkPolicy/p': ['tier default', 'in deny from [has(pcns.team)]'] },
      profiles: { 'kns.a': [] },
      endpoints: { 'WorkloadEndpoint/a/web': ['up 10.0.0.1', 'default deny: in p out -', 'profile kns.a'] },
    },
  ),
  state(
    'the profile has another label',
    [
      endpoint('a/web', ['10.0.0.1'], { profiles: ['kns.a'] }),
      profile('kns.a', { 'pcns.team': 'blue' }),
      policy('p', {
        selector: 'pcns.team == "red"',
        ingress: [rule('deny', { from: { selector: 'has(pcns.team)' } })],
      }),
    ],
    {
      profiles: { 'kns.a': [] },
      endpoints: { 'WorkloadEndpoint/a/web': ['up 10.0.0.1', 'profile kns.a'] },
    },
  ),
  state(
    'an own label beats an inherited one, the first profile the second',
    [
      endpoint('a/own', ['10.0.0.1'], { labels: { x: 'own' }, profiles: ['one', 'two'] }),
      endpoint('a/one', ['10.0.0.2'], { profiles: ['one', 'two'], node: 'remote' }),
      endpoint('a/two', ['10.0.0.3'], { profiles: ['two', 'one'], node: 'remote' }),
      profile('one', { x: '1' }),
      profile('two', { x: '2' }),
      policy('p', {
        selector: "x == 'own'",
        ingress: ['own', '1', '2'].map((x) => rule('allow', { from: { selector: `x == "${x}"` } })),
      }),
    ],
    {
      sets: { 'x == "own"': ['10.0.0.1/32'], 'x == "1"': ['10.0.0.2/32'], 'x == "2"': ['10.0.0.3/32'] },
      policies: {
        'GlobalNetworkPolicy/p': [
          'tier default',
          'in allow from [x == "own"]',
          'in allow from [x == "1"]',
          'in allow from [x == "2"]',
        ],
      },
      profiles: { one: [], two: [] },
      endpoints: {
        'WorkloadEndpoint/a/own': ['up 10.0.0.1', 'default deny: in p out -', 'profile one', 'profile two'],
      },
    },
  ),
  state(
    'selectors that restrict nothing are found too',
    [
      web,
      endpoint('a/bare', ['10.0.0.9'], { node: 'remote' }),
      policy('p', {
        selector: 'app != "db"',
        ingress: [
          rule('allow', { from: { selector: '!has(app)' }, to: { notSelector: 'app not in {"x"}' } }),
        ],
      }),
    ],
    {
      sets: { '!has(app)': ['10.0.0.9/32'], 'app not in {"x"}': ['10.0.0.1/32', '10.0.0.9/32'] },
      policies: {
        'GlobalNetworkPolicy/p': ['tier default', 'in allow from [!has(app)] to ![app not in {"x"}]'],
      },
      endpoints: { 'WorkloadEndpoint/a/web': ['up 10.0.0.1', 'default deny: in p out -'] },
    },
  ),
];
