// SPDX-License-Identifier: Apache-2.0
/** Staged policies: never in the lists that are enforced, always in those that are pending. */
import type { PolicyValue, Update } from '../../model/types.ts';
import { endpoint, policy, rule, tier } from './build.ts';
import { type State, state } from './state.ts';

const pod = endpoint('a/web', ['10.0.0.1'], { labels: { app: 'web' } });
const line = 'up 10.0.0.1';
const path = 'WorkloadEndpoint/a/web';

function staged(
  name: string,
  action: NonNullable<PolicyValue['staged']>,
  fields: Omit<Partial<PolicyValue>, 'name' | 'staged'> = {},
): Update {
  const kind = fields.namespace === undefined ? 'StagedGlobalNetworkPolicy' : 'StagedNetworkPolicy';
  return policy(name, { kind, staged: action, ...fields });
}

const inDefault = (...ids: readonly string[]) => Object.fromEntries(ids.map((id) => [id, ['tier default']]));

export const stagedStates: readonly State[] = [
  state(
    'a staged policy alone',
    [pod, staged('p', 'set', { ingress: [rule('deny', { from: { selector: 'app == "web"' } })] })],
    {
      sets: { 'app == "web"': ['10.0.0.1/32'] },
      policies: { 'StagedGlobalNetworkPolicy/p': ['tier default', 'in deny from [app == "web"]'] },
      endpoints: { [path]: [line, 'default deny: in - out -, pending in p out -'] },
    },
  ),
  state(
    'it would replace the policy of its name, also where it no longer selects',
    [pod, policy('p'), staged('p', 'set', { selector: '!all()' })],
    {
      policies: inDefault('GlobalNetworkPolicy/p'),
      endpoints: { [path]: [line, 'default deny: in p out -, pending in - out -'] },
    },
  ),
  state(
    'it would stand where the policy of its name stands, or in another tier',
    [
      pod,
      tier('first', 1),
      policy('a', { order: 1 }),
      policy('b', { order: 2, namespace: 'a' }),
      policy('c', { order: 3 }),
      staged('b', 'set', { order: 4, namespace: 'a' }),
      staged('c', 'set', { tier: 'first' }),
    ],
    {
      policies: {
        ...inDefault(
          'GlobalNetworkPolicy/a',
          'GlobalNetworkPolicy/c',
          'NetworkPolicy/a/b',
          'StagedNetworkPolicy/a/b',
        ),
        'StagedGlobalNetworkPolicy/c': ['tier first'],
      },
      endpoints: {
        [path]: [
          line,
          'first deny: in - out -, pending in c out -',
          'default deny: in a b c out -, pending in a b out -',
        ],
      },
    },
  ),
  state('it would take a policy away', [pod, policy('p'), policy('q'), staged('p', 'delete')], {
    policies: inDefault('GlobalNetworkPolicy/p', 'GlobalNetworkPolicy/q', 'StagedGlobalNetworkPolicy/p'),
    endpoints: { [path]: [line, 'default deny: in p q out -, pending in q out -'] },
  }),
  state(
    'learning and ignoring change nothing',
    [pod, policy('p'), staged('p', 'learn'), staged('q', 'ignore')],
    {
      policies: inDefault(
        'GlobalNetworkPolicy/p',
        'StagedGlobalNetworkPolicy/p',
        'StagedGlobalNetworkPolicy/q',
      ),
      endpoints: { [path]: [line, 'default deny: in p out -'] },
    },
  ),
  state(
    'a staged Kubernetes policy stands for a Kubernetes policy',
    [
      pod,
      policy('p', { kind: 'KubernetesNetworkPolicy', namespace: 'a' }),
      policy('p', { namespace: 'a' }),
      policy('p', { kind: 'StagedKubernetesNetworkPolicy', namespace: 'a', staged: 'delete' }),
      policy('admin', { kind: 'ClusterNetworkPolicy' }),
    ],
    {
      policies: inDefault(
        'ClusterNetworkPolicy/admin',
        'KubernetesNetworkPolicy/a/p',
        'NetworkPolicy/a/p',
        'StagedKubernetesNetworkPolicy/a/p',
      ),
      endpoints: { [path]: [line, 'default deny: in admin p p out -, pending in admin p out -'] },
    },
  ),
];
