// SPDX-License-Identifier: Apache-2.0
/** Staged policies by chance, each valid: often of a name that an enforced one has too. */
import type { Resource } from '../../src/model/types.ts';
import { calicoPolicyIn, hostPolicyIn, kubernetesPolicyIn } from './generate-policy.ts';
import type { World } from './generate-pools.ts';

export function stagedPolicyIn(world: World, i: number): Resource {
  const { random } = world;
  const make = random.pick([
    kubernetesPolicyIn,
    calicoPolicyIn,
    world.withHost ? hostPolicyIn : calicoPolicyIn,
  ]);
  const policy = make(world, i);
  const action = random.pick(['', '', 'Set', 'Set', 'Delete', 'Delete', 'Learn', 'Ignore']);
  const stagedAction = action ? { stagedAction: action } : {};
  const isKubernetes = policy.apiVersion.startsWith('networking.k8s.io/');
  return {
    apiVersion: 'projectcalico.org/v3',
    kind: isKubernetes ? 'StagedKubernetesNetworkPolicy' : `Staged${policy.kind}`,
    metadata: policy.metadata,
    spec: action === 'Delete' ? stagedAction : { ...Object(policy.spec), ...stagedAction },
  };
}
