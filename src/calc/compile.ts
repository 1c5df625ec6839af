// SPDX-License-Identifier: Apache-2.0
/** The graph run once over a whole state: for `muslin policy compile`, `policy eval`, `diff` and tests. */
import type { CompiledNode } from '../contract/compiled.ts';
import { defaultDataplaneConfig } from '../contract/config.ts';
import type { DataplaneMessage } from '../contract/dataplane.ts';
import { assertNever } from '../lib/errors.ts';
import type { Update } from '../model/types.ts';
import { buildGraph } from './graph.ts';

/** What a node that starts now is sent, `in-sync` last. */
export function compileFor(node: string, updates: readonly Update[]): DataplaneMessage[] {
  const messages: DataplaneMessage[] = [];
  const graph = buildGraph({ node });
  graph.onUpdates(updates);
  graph.onStatus('in-sync');
  graph.flush((message) => messages.push(message));
  return messages;
}

/** The messages of `compileFor` as one object, each thing under its id. */
export function compiledNode(messages: readonly DataplaneMessage[]): CompiledNode {
  const maps = {
    ipSets: new Map<string, CompiledNode['ipSets'][string]>(),
    policies: new Map<string, CompiledNode['policies'][string]>(),
    profiles: new Map<string, CompiledNode['profiles'][string]>(),
    endpoints: new Map<string, CompiledNode['endpoints'][string]>(),
    hostEndpoints: new Map<string, CompiledNode['hostEndpoints'][string]>(),
    routes: new Map<string, CompiledNode['routes'][string]>(),
  };
  let config = defaultDataplaneConfig;
  for (const message of messages) {
    if (message.kind === 'config-update') config = message.config;
    else collect(maps, message);
  }
  return {
    ipSets: inOrder(maps.ipSets),
    policies: inOrder(maps.policies),
    profiles: inOrder(maps.profiles),
    endpoints: inOrder(maps.endpoints),
    hostEndpoints: inOrder(maps.hostEndpoints),
    config,
    routes: inOrder(maps.routes),
    vteps: [],
  };
}

type Maps = {
  readonly [K in Exclude<keyof CompiledNode, 'vteps' | 'config'>]: Map<string, CompiledNode[K][string]>;
};

function collect(maps: Maps, message: Exclude<DataplaneMessage, { kind: 'config-update' }>): void {
  switch (message.kind) {
    case 'ipset-update':
      maps.ipSets.set(message.id, message.set);
      return;
    case 'policy-update':
      maps.policies.set(message.id, message.policy);
      return;
    case 'profile-update':
      maps.profiles.set(message.name, message.profile);
      return;
    case 'endpoint-update':
      maps.endpoints.set(message.id, message.endpoint);
      return;
    case 'host-endpoint-update':
      maps.hostEndpoints.set(message.id, message.endpoint);
      return;
    case 'route-update':
      maps.routes.set(message.dst, message.route);
      return;
    case 'in-sync':
      return;
    case 'ipset-delta':
    case 'ipset-remove':
    case 'policy-remove':
    case 'profile-remove':
    case 'endpoint-remove':
    case 'host-endpoint-remove':
    case 'route-remove':
      throw new RangeError(`cannot print messages: want those of a first flush, got ${message.kind}`);
    default:
      assertNever(message);
  }
}

function inOrder<V>(map: ReadonlyMap<string, V>): { [key: string]: V } {
  return Object.fromEntries([...map].sort(([a], [b]) => (a < b ? -1 : 1)));
}
