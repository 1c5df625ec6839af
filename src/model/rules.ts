// SPDX-License-Identifier: Apache-2.0
/**
 * v3 rules in evaluated form: scopes, service accounts and notSelector folded into one selector per side.
 *
 * @see libcalico-go/lib/backend/syncersv1/updateprocessors (RuleAPIV2ToBackend), felix/calc/rule_convert.go
 */

import { tryParseAddress } from '../lib/address.ts';
import type { Cidr } from '../lib/brand.ts';
import { hostCidr, tryParseCidr } from '../lib/cidr.ts';
import type { Fault } from '../lib/errors.ts';
import { type PortRange, tryParsePortRange } from '../lib/ports.ts';
import { tryParseProtocol } from '../lib/protocol.ts';
import { isObject, listAt, member, textAt } from './json.ts';
import type { Node } from './selector/ast.ts';
import { parseSelector, selectorOf } from './selector/parse.ts';
import {
  conjunction,
  inNamespace,
  inServiceAccounts,
  negation,
  overNamespaces,
  overServiceAccounts,
} from './selector/rewrite.ts';
import type { ModelPeer, ModelRule, ServiceName } from './types.ts';

export interface RuleScope {
  /** Of the policy; null for global policies and profiles. */
  readonly namespace: string | null;
  /** As the resource says: `spec.ingress`. */
  readonly path: string;
  /** Where each rule stands in its author's file, when that is known. */
  readonly lines: { readonly file: string; readonly rules: readonly number[] } | null;
}

/** @param rules - valid. @returns what is not supported yet as faults; such a rule never opens anything. */
export function modelRules(
  rules: readonly unknown[],
  scope: RuleScope,
): { rules: ModelRule[]; faults: Fault[] } {
  const faults: Fault[] = [];
  const converted = rules.flatMap((rule, i) => {
    const unsupported = unsupportedFields(rule);
    const path = `${scope.path}[${i}]`;
    for (const field of unsupported)
      faults.push({ path: `${path}.${field}`, message: `${field} is not supported yet` });
    return unsupported.length > 0 ? closedRule(rule, scope, i) : [modelRule(rule, scope, i)];
  });
  return { rules: converted, faults };
}

/** Methods and paths are seen by a proxy alone (application layer policy). */
function unsupportedFields(rule: unknown): readonly string[] {
  return isObject(member(rule, 'http')) ? ['http'] : [];
}

/** What would be let through is not; what would be denied, or handed on, is denied without the condition. */
function closedRule(rule: unknown, scope: RuleScope, index: number): ModelRule[] {
  const action = actionOf(rule);
  if (action === 'allow' || action === 'log') return [];
  return [{ ...modelRule(rule, scope, index), action: 'deny' }];
}

function modelRule(rule: unknown, scope: RuleScope, index: number): ModelRule {
  const ipVersion = member(rule, 'ipVersion');
  const protocol = protocolOf(member(rule, 'protocol'));
  const notProtocol = protocolOf(member(rule, 'notProtocol'));
  const icmp = icmpOf(member(rule, 'icmp'));
  const notIcmp = icmpOf(member(rule, 'notICMP'));
  const line = scope.lines?.rules[index];
  return {
    action: actionOf(rule),
    ...(ipVersion === 4 || ipVersion === 6 ? { ipVersion } : {}),
    ...(protocol === null ? {} : { protocol }),
    ...(notProtocol === null ? {} : { notProtocol }),
    ...(icmp ? { icmp } : {}),
    ...(notIcmp ? { notIcmp } : {}),
    source: modelPeer(member(rule, 'source'), scope.namespace),
    destination: modelPeer(member(rule, 'destination'), scope.namespace),
    ...(scope.lines && line !== undefined ? { origin: { file: scope.lines.file, line } } : {}),
  };
}

function actionOf(rule: unknown): ModelRule['action'] {
  const actions = { Allow: 'allow', Deny: 'deny', Pass: 'pass', Log: 'log' } as const;
  const written = textAt(rule, 'action');
  return Object.hasOwn(actions, written) ? actions[written as keyof typeof actions] : 'deny';
}

function protocolOf(value: unknown): number | null {
  return typeof value === 'string' || typeof value === 'number' ? tryParseProtocol(value) : null;
}

/** An empty `icmp: {}` asks for nothing. */
function icmpOf(value: unknown): { type: number; code?: number } | null {
  const type = member(value, 'type');
  const code = member(value, 'code');
  if (typeof type !== 'number') return null;
  return typeof code === 'number' ? { type, code } : { type };
}

function modelPeer(peer: unknown, namespace: string | null): ModelPeer {
  const service = serviceOf(member(peer, 'services'), namespace);
  const ports = splitPorts(listAt(peer, 'ports'));
  const notPorts = splitPorts(listAt(peer, 'notPorts'));
  return {
    nets: netsOf(listAt(peer, 'nets')),
    notNets: netsOf(listAt(peer, 'notNets')),
    ...selectorsOf(peer, namespace),
    ...(service ? { service } : {}),
    ports: ports.ranges,
    namedPorts: ports.names,
    notPorts: notPorts.ranges,
    notNamedPorts: notPorts.names,
  };
}

function serviceOf(services: unknown, namespace: string | null): ServiceName | null {
  const name = textAt(services, 'name');
  return name === '' ? null : { name, namespace: textAt(services, 'namespace') || (namespace ?? '') };
}

function netsOf(nets: readonly unknown[]): Cidr[] {
  return nets.flatMap((net) => {
    const address = tryParseAddress(String(net));
    const cidr = address ? hostCidr(address) : tryParseCidr(String(net));
    return cidr ? [cidr] : [];
  });
}

function splitPorts(ports: readonly unknown[]): { ranges: PortRange[]; names: string[] } {
  const ranges: PortRange[] = [];
  const names: string[] = [];
  for (const port of ports) {
    const range = typeof port === 'number' || typeof port === 'string' ? tryParsePortRange(port) : null;
    if (range) ranges.push(range);
    else if (typeof port === 'string') names.push(port);
  }
  return { ranges, names };
}

/**
 * With a positive condition a notSelector narrows it; alone it is a condition of its own, which addresses of nobody meet
 * too.
 */
function selectorsOf(peer: unknown, namespace: string | null): Pick<ModelPeer, 'selector' | 'notSelector'> {
  const positive = positiveSelector(peer, namespace);
  const notText = textAt(peer, 'notSelector');
  const not = notText === '' ? null : parseSelector(notText).root;
  if (!positive) return not ? { notSelector: selectorOf(not).canonical } : {};
  const folded = not ? conjunction([positive, negation(not)]) : positive;
  return folded ? { selector: selectorOf(folded).canonical } : {};
}

/**
 * Scope, service accounts and labels, of which each may be absent. Nested as Calico nests them, since the IP set's id is
 * made of the text: `scope && (accounts && labels)`.
 *
 * @see libcalico-go/lib/backend/syncersv1/updateprocessors/rules.go, getEndpointSelector
 */
function positiveSelector(peer: unknown, namespace: string | null): Node | null {
  const text = textAt(peer, 'selector');
  const namespaces = textAt(peer, 'namespaceSelector');
  const chosen = conjunction([
    accountCondition(member(peer, 'serviceAccounts')),
    text === '' ? null : parseSelector(text).root,
  ]);
  const selects = chosen !== null || textAt(peer, 'notSelector') !== '';
  const scope =
    namespaces === '' ? ownNamespace(namespace, selects) : overNamespaces(parseSelector(namespaces).root);
  return conjunction([scope, chosen]);
}

/** A namespaced policy speaks of its own namespace as soon as it speaks of endpoints at all. */
function ownNamespace(namespace: string | null, selects: boolean): Node | null {
  return namespace !== null && selects ? inNamespace(namespace) : null;
}

/** Null when neither names nor labels are asked for: an empty `serviceAccounts: {}` selects nothing by itself. */
function accountCondition(accounts: unknown): Node | null {
  const names = listAt(accounts, 'names').map(String);
  const text = textAt(accounts, 'selector');
  return conjunction([
    text === '' ? null : overServiceAccounts(parseSelector(text).root, 'any-endpoint'),
    names.length > 0 ? inServiceAccounts(names) : null,
  ]);
}
