// SPDX-License-Identifier: Apache-2.0
/** Host endpoints: which policies reach which stage of a host's traffic, and what selectors find of them. */
import type { KeyPath } from '../../lib/brand.ts';
import type { Update } from '../../model/types.ts';
import { endpoint, hostEndpoint, policy, profile, rule } from './build.ts';
import { type State, state } from './state.ts';

const both = { ingress: true, egress: true };
const host = hostEndpoint('h', ['192.0.2.1'], { labels: { role: 'host' } });
const pod = endpoint('a/web', ['10.0.0.1'], { labels: { role: 'pod' } });
const ofEveryStage = [
  policy('normal', { types: both }),
  policy('forward', { types: both, hostTraffic: 'normal-and-forward' }),
  policy('untracked', { types: both, hostTraffic: 'untracked' }),
  policy('pre', { types: { ingress: true, egress: false }, hostTraffic: 'pre-dnat' }),
];
const paths = (...names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [`GlobalNetworkPolicy/${name}`, ['tier default']]));

/** As orchestrators other than Kubernetes write them: the same value under another path. */
const openstackVm: Update = {
  ...endpoint('a/vm', ['10.0.0.9'], { labels: { role: 'host' } }),
  path: 'CalicoWorkloadEndpoint/a/n1-openstack-vm-eth0' as KeyPath,
} as Update;

export const hostStates: readonly State[] = [
  state('a host endpoint without policy', [host], {
    hostEndpoints: { 'HostEndpoint/h': ['eth0 192.0.2.1'] },
  }),
  state(
    'each stage of a host meets its own policies, a workload only what is for all',
    [host, pod, ...ofEveryStage],
    {
      policies: paths('forward', 'normal', 'pre', 'untracked'),
      endpoints: {
        'WorkloadEndpoint/a/web': ['up 10.0.0.1', 'default deny: in forward normal out forward normal'],
      },
      hostEndpoints: {
        'HostEndpoint/h': [
          'eth0 192.0.2.1',
          'untracked default deny: in untracked out untracked',
          'preDnat default deny: in pre out -',
          'forward default deny: in forward out forward',
          'tiers default deny: in forward normal out forward normal',
        ],
      },
    },
  ),
  state('policies for hosts alone are not active without a host endpoint', [pod, ...ofEveryStage], {
    policies: paths('forward', 'normal'),
    endpoints: {
      'WorkloadEndpoint/a/web': ['up 10.0.0.1', 'default deny: in forward normal out forward normal'],
    },
  }),
  state(
    'the same policy is about another stage',
    [host, pod, policy('normal', { types: both, hostTraffic: 'pre-dnat' })],
    {
      policies: paths('normal'),
      endpoints: { 'WorkloadEndpoint/a/web': ['up 10.0.0.1'] },
      hostEndpoints: { 'HostEndpoint/h': ['eth0 192.0.2.1', 'preDnat default deny: in normal out -'] },
    },
  ),
  state(
    'selectors find hosts of every node, named ports too; profiles are theirs as well',
    [
      hostEndpoint('h', ['192.0.2.1', '2001:db8::1'], { ifName: '*', profiles: ['open'] }),
      hostEndpoint('far', ['192.0.2.2'], {
        node: 'far',
        ifName: null,
        profiles: ['open'],
        ports: [{ name: 'ssh', protocol: 6, port: 22 }],
      }),
      profile('open', { zone: 'z' }, { ingress: [rule('allow')] }),
      policy('p', {
        selector: 'zone == "z"',
        ingress: [rule('allow', { from: { selector: 'has(zone)' }, to: { namedPorts: ['ssh'] } })],
      }),
    ],
    {
      sets: {
        'has(zone)': ['192.0.2.1/32', '192.0.2.2/32', '2001:db8::1/128'],
        'all() port ssh (any protocol)': ['192.0.2.2,tcp:22'],
      },
      policies: {
        'GlobalNetworkPolicy/p': [
          'tier default',
          'in allow from [has(zone)] to [all() port ssh (any protocol)]',
        ],
      },
      profiles: { open: ['in allow'] },
      hostEndpoints: {
        'HostEndpoint/h': ['* 192.0.2.1 2001:db8::1', 'tiers default deny: in p out -', 'profile open'],
      },
    },
  ),
  state('a host endpoint of another node', [hostEndpoint('h', ['192.0.2.1'], { node: 'far' })], {}),
  state(
    'a policy that is wanted on every node',
    [policy('p', { selector: 'has(nobody)', onEveryNode: true })],
    {
      policies: paths('p'),
    },
  ),
  state(
    'a workload that another orchestrator wrote',
    [openstackVm, policy('p', { selector: 'role == "host"' })],
    {
      policies: paths('p'),
      endpoints: {
        'CalicoWorkloadEndpoint/a/n1-openstack-vm-eth0': ['up 10.0.0.9', 'default deny: in p out -'],
      },
    },
  ),
];
