// SPDX-License-Identifier: Apache-2.0
/**
 * The machine park of a lab: one namespace per node, joined by a bridge in a namespace of its own. Nothing of it shows
 * in the host's network; no packet leaves it.
 *
 *     node1 [eth0] --- [node1] fabric: bridge br0 [node2] --- [eth0] node2
 *
 * Making what exists is no error: a lab whose daemon was killed is taken up as it stands.
 */
import { createNetns, listNetns, NetNs, removeNetns, removeNetnsFolder } from '../kernel/netns.ts';
import { Rtnetlink } from '../kernel/rtnetlink/rtnetlink.ts';
import { hasSysctl, writeSysctl } from '../kernel/sysctl.ts';
import { familyOf } from '../lib/address.ts';
import { prefixLength } from '../lib/cidr.ts';
import type { LabLayout } from './layout.ts';
import { fabricNetworks, type LabNode, type LabSpec, uplinkName } from './spec.ts';

const bridgeName = 'br0';
/** Of `lo` in a fresh namespace. */
const loopbackIndex = 1;

export function buildFabric(layout: LabLayout, spec: LabSpec): void {
  using fabric = ensureNetns(layout.fabricNetns);
  using inFabric = fabric.run(() => Rtnetlink.open());
  fabric.run(() => quiet());
  const bridge = inFabric.links.get(bridgeName) ?? inFabric.links.createBridge({ name: bridgeName });
  inFabric.links.set(bridge.index, { up: true });
  for (const [i, node] of spec.nodes.entries())
    joinNode(layout, node, inFabric, `port${i + 1}`, bridge.index);
}

function joinNode(layout: LabLayout, node: LabNode, inFabric: Rtnetlink, port: string, bridge: number): void {
  using netns = ensureNetns(layout.nodeNetns(node.name));
  using inNode = netns.run(() => Rtnetlink.open());
  netns.run(() => quiet());
  inNode.links.set(loopbackIndex, { up: true });
  if (!inNode.links.get(uplinkName)) inFabric.links.createVeth({ name: port }, { name: uplinkName, netns });
  const end = inFabric.links.get(port);
  const uplink = inNode.links.get(uplinkName);
  if (!end || !uplink) throw new TypeError(`uplink of ${node.name} is gone`);
  inFabric.links.set(end.index, { master: bridge, up: true });
  for (const address of node.addresses) {
    const length = prefixLength(fabricNetworks[familyOf(address)]);
    inNode.addresses.replace({ index: uplink.index, address, prefixLength: length, noDad: true });
  }
  inNode.links.set(uplink.index, { up: true });
}

/** No address of their own making, no waiting for duplicates: a lab is there at once. */
function quiet(): void {
  for (const scope of ['all', 'default']) {
    const path = ['net', 'ipv6', 'conf', scope];
    if (!hasSysctl([...path, 'accept_dad'])) return;
    writeSysctl([...path, 'accept_dad'], 0);
    writeSysctl([...path, 'accept_ra'], 0);
  }
}

export function ensureNetns(name: string): NetNs {
  return listNetns().includes(name) ? NetNs.open(name) : createNetns(name);
}

/** @returns the names of the namespaces that it removed; the links in them go with them. */
export function removeFabric(layout: LabLayout): readonly string[] {
  const names = listNetns().filter((name) => name.startsWith(layout.prefix));
  for (const name of names) removeNetns(name);
  removeNetnsFolder();
  return names;
}
