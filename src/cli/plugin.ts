// SPDX-License-Identifier: Apache-2.0
/**
 * As a plug-in of kubectl (bin/kubectl-muslin): the cluster and the namespace are those that kubectl itself would take.
 *
 * @see Kubernetes documentation, "Extend kubectl with plugins"
 */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Io } from './io.ts';

/** How the program calls itself; bin/ sets it. */
export function programName({ env }: Pick<Io, 'env'>): string {
  return env.MUSLIN_CALLED_AS || 'muslin';
}

export function isPlugin(io: Pick<Io, 'env'>): boolean {
  return programName(io).startsWith('kubectl ');
}

/** As client-go: files of KUBECONFIG that are not there are passed over. */
export function kubeconfigPaths(env: Io['env']): readonly string[] {
  const named = (env.KUBECONFIG ?? '').split(':').filter((path) => path !== '');
  if (named.length > 0) return named.length === 1 ? named : named.filter((path) => existsSync(path));
  const usual = join(env.HOME ?? homedir(), '.kube', 'config');
  return existsSync(usual) ? [usual] : [];
}
