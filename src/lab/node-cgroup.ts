// SPDX-License-Identifier: Apache-2.0
import { ensureCgroup, hasCgroups, startInCgroup } from '../kernel/cgroup.ts';
import type { LabLayout } from './layout.ts';

/** Starts a process where that node's processes are; hosts without cgroup v2 have no such place. */
export function onNode<T>(layout: LabLayout, node: string, start: () => T): T {
  if (!hasCgroups()) return start();
  ensureCgroup(layout.nodeCgroup(node));
  return startInCgroup(layout.nodeCgroup(node), start);
}
