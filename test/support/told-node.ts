// SPDX-License-Identifier: Apache-2.0
/** One node's calculation graph: clusters, one after the other, become the messages that lead a driver from each to the next. */
import assert from 'node:assert/strict';
import { buildGraph, type CalcGraph } from '../../src/calc/graph.ts';
import type { DataplaneMessage } from '../../src/contract/dataplane.ts';
import type { KeyPath } from '../../src/lib/brand.ts';
import { protocolName } from '../../src/lib/protocol.ts';
import { builtinUpdates } from '../../src/model/builtin.ts';
import { keyOf, keyPath } from '../../src/model/kinds.ts';
import type { HostSettings } from '../../src/model/oracle/host.ts';
import type { Resource, ResourceKey, Update } from '../../src/model/types.ts';
import { updatesOf } from '../../src/model/updates.ts';

export class ToldNode {
  readonly #graph: CalcGraph;
  readonly #listener: (message: DataplaneMessage) => void;
  #stored: ReadonlyMap<KeyPath, Resource> = new Map();

  constructor(node: string, listener: (message: DataplaneMessage) => void) {
    this.#listener = listener;
    this.#graph = buildGraph({ node });
    this.#graph.onUpdates(builtinUpdates());
    this.#graph.onStatus('in-sync');
  }

  /** These are all that is stored from now on. */
  become(resources: readonly Resource[]): void {
    this.#graph.onUpdates(this.#difference(resources));
    this.#graph.flush(this.#listener);
  }

  /** Vanished resources first, as null; then what is new or other than it was. */
  #difference(resources: readonly Resource[]): Update[] {
    const next = new Map(resources.map((resource) => [keyPath(keyOf(resource)), resource]));
    const gone = [...this.#stored].filter(([path]) => !next.has(path));
    const changed = [...next].filter(
      ([path, resource]) => JSON.stringify(this.#stored.get(path)) !== JSON.stringify(resource),
    );
    this.#stored = next;
    return [
      ...gone.flatMap(([, resource]) => valid(keyOf(resource), null)),
      ...changed.flatMap(([, resource]) => valid(keyOf(resource), resource)),
    ];
  }
}

/** The host's settings as a user would store them. */
export function settingsResource(settings: HostSettings): Resource {
  const ports = (list: HostSettings['failsafeInbound']) =>
    list.map(({ protocol, ...rest }) => ({ ...rest, protocol: protocolName(protocol) }));
  return {
    apiVersion: 'projectcalico.org/v3',
    kind: 'FelixConfiguration',
    metadata: { name: 'default' },
    spec: {
      defaultEndpointToHostAction: { drop: 'Drop', return: 'Return', accept: 'Accept' }[
        settings.endpointToHost
      ],
      failsafeInboundHostPorts: ports(settings.failsafeInbound),
      failsafeOutboundHostPorts: ports(settings.failsafeOutbound),
      allowVXLANPacketsFromWorkloads: settings.vxlanFromWorkloads,
      allowIPIPPacketsFromWorkloads: settings.ipipFromWorkloads,
      vxlanPort: settings.vxlanPort,
    },
  };
}

function valid(key: ResourceKey, resource: Resource | null): readonly Update[] {
  const { updates, faults } = updatesOf(key, resource);
  assert.deepEqual(faults, [], JSON.stringify(resource));
  return updates;
}
