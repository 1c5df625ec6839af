// SPDX-License-Identifier: Apache-2.0
/** Routes to remote workloads. */
import { endpoint, node } from './build.ts';
import { type State, state } from './state.ts';

const remote = endpoint('a/r', ['10.1.0.1', 'fd00::1'], { node: 'other' });
const twin = endpoint('a/twin', ['10.1.0.1'], { node: 'third' });

export const routeStates: readonly State[] = [
  state('a node without workloads', [node('other', '192.0.2.2')], {}),
  state('a remote workload on an unknown node', [remote], {}),
  state('a remote workload on a node with one family', [remote, node('other', '192.0.2.2')], {
    routes: { '10.1.0.1/32': 'other 192.0.2.2' },
  }),
  state('both families', [remote, node('other', '192.0.2.2', '2001:db8::2')], {
    routes: { '10.1.0.1/32': 'other 192.0.2.2', 'fd00::1/128': 'other 2001:db8::2' },
  }),
  state('the node has another address', [remote, node('other', '192.0.2.22')], {
    routes: { '10.1.0.1/32': 'other 192.0.2.22' },
  }),
  state('one address on two nodes', [remote, twin, node('other', '192.0.2.2'), node('third', '192.0.2.3')], {
    routes: { '10.1.0.1/32': 'other 192.0.2.2' },
  }),
  state('one address on two nodes, the first unknown', [remote, twin, node('third', '192.0.2.3')], {
    routes: { '10.1.0.1/32': 'third 192.0.2.3' },
  }),
  state(
    'one address here and there',
    [remote, node('other', '192.0.2.2'), endpoint('a/here', ['10.1.0.1'])],
    { endpoints: { 'WorkloadEndpoint/a/here': ['up 10.1.0.1'] } },
  ),
  state(
    'the workload moved here',
    [endpoint('a/r', ['10.1.0.1', 'fd00::1']), node('other', '192.0.2.2'), node('local', '192.0.2.1')],
    { endpoints: { 'WorkloadEndpoint/a/r': ['up 10.1.0.1 fd00::1'] } },
  ),
];
