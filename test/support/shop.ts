// SPDX-License-Identifier: Apache-2.0
/** A shop in a lab whose store is harmed: a server, who may reach it and who may not; and looks behind the lab's back. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Resource } from '../../src/model/types.ts';
import type { LabRig } from './lab-rig.ts';
import { globalPolicy, pod } from './resources.ts';

export const server = 'default/server';
export const client = 'default/client';
export const outsider = 'default/outsider';

/** Server and clients on different nodes; who is no client may not. */
export function shop(): readonly Resource[] {
  const fromClients = ['TCP', 'UDP'].map((protocol) => ({
    action: 'Allow',
    protocol,
    source: { selector: "role == 'client'" },
    destination: { ports: [80, 81] },
  }));
  return [
    pod(server, { labels: { role: 'server' }, ports: ['80', '81/udp'], node: 'node1' }),
    pod(client, { labels: { role: 'client' }, node: 'node2' }),
    pod(outsider, { labels: { role: 'outsider' }, node: 'node2' }),
    globalPolicy('server', {
      selector: "role == 'server'",
      order: 1,
      types: ['Ingress'],
      ingress: fromClients,
    }),
  ];
}

/** On the only one. */
export function onNode1(resource: Resource): Resource {
  if (resource.kind !== 'Pod') return resource;
  return { ...resource, spec: { ...(resource.spec as object), nodeName: 'node1' } };
}

export function storePid(lab: LabRig): number {
  return Number(readFileSync(lab.layout.storePid, 'utf8'));
}

/** Without whose it is: an agent that was killed owns nothing. */
export function ruleset(lab: LabRig, node: string): string {
  const nft = ['netns', 'exec', lab.layout.nodeNetns(node), 'nft', 'list', 'ruleset'];
  return execFileSync('ip', nft, { encoding: 'utf8' }).replaceAll(/ # progname.*|^\tflags.*\n/gm, '');
}
