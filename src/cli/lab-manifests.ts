// SPDX-License-Identifier: Apache-2.0
/** What a lab file asks to be applied: its manifests, and its workloads as Pods. */
import { dirname, isAbsolute, join } from 'node:path';
import type { LabFile, WorkloadEntry } from '../lab/spec.ts';
import type { Resource } from '../model/types.ts';
import type { Io } from './io.ts';

/** @param path - of the lab file, to which its manifests' paths are relative. @throws {InvalidError} {NotFoundError} */
export async function labManifests(
  file: LabFile,
  path: string | undefined,
  io: Io,
): Promise<readonly Resource[]> {
  const folder = path === undefined ? '.' : dirname(path);
  const workloads = file.workloads.map(podOf);
  if (file.manifests.length === 0) return workloads;
  const { readManifests } = await import('./manifests.ts');
  const manifests = await readManifests(
    { file: file.manifests.map((each) => (isAbsolute(each) ? each : join(folder, each))) },
    io,
  );
  return [...manifests, ...workloads];
}

function podOf(workload: WorkloadEntry): Resource {
  const { name, namespace, labels, ports, node, addresses } = workload;
  const annotations =
    addresses.length > 0 ? { 'cni.projectcalico.org/ipAddrs': JSON.stringify(addresses) } : {};
  const container = { name: 'main', image: 'echo', ports: ports.map((containerPort) => ({ containerPort })) };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels, annotations },
    spec: { containers: [container], ...(node === undefined ? {} : { nodeName: node }) },
  };
}
