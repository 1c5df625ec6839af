// SPDX-License-Identifier: Apache-2.0
/** Rules that name services: the members come from slices, of any number, in any order. */
import { endpoint, policy, rule, slice } from './build.ts';
import { type State, state } from './state.ts';

const pod = endpoint('a/web', ['10.0.0.1']);
const toDns = policy('p', {
  types: { ingress: true, egress: true },
  ingress: [rule('allow', { from: { service: { namespace: 'kube', name: 'dns' } } })],
  egress: [rule('allow', { to: { service: { namespace: 'kube', name: 'dns' } } })],
});
const policies = {
  'GlobalNetworkPolicy/p': [
    'tier default',
    'in allow from [addresses of service kube/dns]',
    'out allow to [service kube/dns]',
  ],
};
const endpoints = { 'WorkloadEndpoint/a/web': ['up 10.0.0.1', 'default deny: in p out p'] };
const dnsPorts = [
  { protocol: 17, port: 53 },
  { protocol: 6, port: 53 },
  { protocol: 1, port: 9 }, // no protocol with ports: no member
];

export const serviceStates: readonly State[] = [
  state(
    'ports beside a source service count too',
    [
      pod,
      policy('p', {
        ingress: [
          rule('allow', {
            protocol: 6,
            from: {
              service: { namespace: 'kube', name: 'dns' },
              ports: [{ first: 53, last: 53 }],
              notNamedPorts: ['x'],
            },
          }),
        ],
      }),
    ],
    {
      sets: { 'addresses of service kube/dns': [], 'all() port x (tcp)': [] },
      policies: {
        'GlobalNetworkPolicy/p': [
          'tier default',
          'in allow tcp from [addresses of service kube/dns] 53-53 ![all() port x (tcp)]',
        ],
      },
      endpoints: { 'WorkloadEndpoint/a/web': ['up 10.0.0.1', 'default deny: in p out -'] },
    },
  ),
  state('a service without slices matches nothing', [pod, toDns], {
    sets: { 'addresses of service kube/dns': [], 'service kube/dns': [] },
    policies,
    endpoints,
  }),
  state('slices that nobody names', [pod, slice('s1', 'kube/dns', ['10.9.0.1'])], {
    endpoints: { 'WorkloadEndpoint/a/web': ['up 10.0.0.1'] },
  }),
  state(
    'two slices with an address in common, and one of another service',
    [
      pod,
      toDns,
      slice('s1', 'kube/dns', ['10.9.0.1', '10.9.0.2'], dnsPorts),
      slice('s2', 'kube/dns', ['10.9.0.2', 'fd00::2'], [{ protocol: 6, port: 53 }]),
      slice('s3', 'kube/api', ['10.9.0.3']),
    ],
    {
      sets: {
        'addresses of service kube/dns': ['10.9.0.1/32', '10.9.0.2/32', 'fd00::2/128'],
        'service kube/dns': [
          '10.9.0.1,tcp:53',
          '10.9.0.1,udp:53',
          '10.9.0.2,tcp:53',
          '10.9.0.2,udp:53',
          'fd00::2,tcp:53',
        ],
      },
      policies,
      endpoints,
    },
  ),
  state(
    'one of the slices went to another service',
    [pod, toDns, slice('s1', 'kube/api', ['10.9.0.1'], dnsPorts), slice('s2', 'kube/dns', ['10.9.0.2'])],
    {
      sets: { 'addresses of service kube/dns': ['10.9.0.2/32'], 'service kube/dns': ['10.9.0.2,tcp:80'] },
      policies,
      endpoints,
    },
  ),
];
