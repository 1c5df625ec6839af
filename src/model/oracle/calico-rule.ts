// SPDX-License-Identifier: Apache-2.0
/** One rule of a projectcalico.org/v3 policy or profile against one packet. */
import { familyOf } from '../../lib/address.ts';
import type { Address } from '../../lib/brand.ts';
import { cidrContains, hostCidr, parseCidr } from '../../lib/cidr.ts';
import { UnsupportedError } from '../../lib/errors.ts';
import { tryParsePortRange } from '../../lib/ports.ts';
import { hasPorts, parseProtocol } from '../../lib/protocol.ts';
import type { Directory } from './directory.ts';
import { type Fields, fieldsIn, isPresent, listIn, numberIn, textIn, textsIn } from './fields.ts';
import {
  labelsOf,
  namespaceLabel,
  namespaceOfOwner,
  type Owner,
  owns,
  serviceAccountLabel,
  serviceAccountOfOwner,
} from './owner.ts';
import { hasNamedPort, type OraclePacket, type Rule } from './policy.ts';
import { selects } from './selects.ts';
import type { Slice } from './service.ts';

/** One side of a packet. */
interface End {
  readonly address: Address;
  readonly protocol: number;
  readonly port: number | undefined;
}

type Side = 'source' | 'destination';
type Matches<T> = (subject: T) => boolean;

const actions = { Allow: 'allow', Deny: 'deny', Pass: 'pass', Log: 'log' } as const;

/** @param namespace - of its policy; empty for a global one. @throws {UnsupportedError} for HTTP. */
export function calicoRule(rule: Fields, namespace: string, directory: Directory): Rule {
  if (isPresent(rule, 'http')) throw new UnsupportedError('cannot judge a rule with http');
  const source = peer(fieldsIn(rule, 'source'), 'source', namespace, directory);
  const destination = peer(fieldsIn(rule, 'destination'), 'destination', namespace, directory);
  return {
    action: actionOf(rule),
    matches: (packet) =>
      headMatches(rule, packet) &&
      source({ address: packet.from, protocol: packet.protocol, port: packet.srcPort }) &&
      destination({ address: packet.to, protocol: packet.protocol, port: packet.dstPort }),
  };
}

function actionOf(rule: Fields): Rule['action'] {
  const written = textIn(rule, 'action');
  for (const [name, action] of Object.entries(actions)) if (name === written) return action;
  throw new TypeError(`no such action: ${JSON.stringify(written)}`);
}

function headMatches(rule: Fields, packet: OraclePacket): boolean {
  const version = numberIn(rule, 'ipVersion');
  if (version !== undefined && version !== familyOf(packet.from)) return false;
  if (isPresent(rule, 'protocol') && protocolIn(rule, 'protocol') !== packet.protocol) return false;
  if (isPresent(rule, 'notProtocol') && protocolIn(rule, 'notProtocol') === packet.protocol) return false;
  const [icmp, notIcmp] = [fieldsIn(rule, 'icmp'), fieldsIn(rule, 'notICMP')];
  if (isPresent(icmp, 'type') && !icmpMatches(icmp, packet)) return false; // without type nothing is asked
  return !isPresent(notIcmp, 'type') || !icmpMatches(notIcmp, packet);
}

function protocolIn(rule: Fields, name: string): number {
  const value = rule[name];
  return parseProtocol(typeof value === 'number' ? value : textIn(rule, name));
}

function icmpMatches(icmp: Fields, packet: OraclePacket): boolean {
  const [type, code] = [numberIn(icmp, 'type'), numberIn(icmp, 'code')];
  return type === packet.icmpType && (code === undefined || code === packet.icmpCode);
}

function peer(fields: Fields, side: Side, namespace: string, { owners, slices }: Directory): Matches<End> {
  const isOfService = serviceMatches(fields, side, namespace, slices);
  const nets = textsIn(fields, 'nets').map(parseCidr);
  const notNets = textsIn(fields, 'notNets').map(parseCidr);
  const isChosen = chosenOwner(fields, namespace);
  const notSelector = textIn(fields, 'notSelector');
  const isNot = notSelector ? selects(notSelector) : null;
  // A notSelector beside a positive one is folded into it: one owner must be chosen and not excluded. Alone, it is a
  // statement about the address: no owner of it is selected, and an address without owner passes.
  const positive = isChosen && ((owner: Owner) => isChosen(owner) && !isNot?.(labelsOf(owner)));
  const ports = portsMatch(fields, positive ? owners.filter(positive) : owners);
  return (end) => {
    const host = hostCidr(end.address);
    const here = owners.filter((owner) => owns(owner, end.address));
    if (isOfService && !isOfService(end)) return false;
    if (nets.length > 0 && !nets.some((net) => cidrContains(net, host))) return false;
    if (notNets.some((net) => cidrContains(net, host))) return false;
    if (positive && !here.some(positive)) return false;
    if (!positive && isNot && here.some((owner) => isNot(labelsOf(owner)))) return false;
    return ports(end);
  };
}

/** As destination an endpoint of the service, port and all; as source one of its addresses. Null: no service is asked. */
function serviceMatches(
  fields: Fields,
  side: Side,
  namespace: string,
  slices: readonly Slice[],
): Matches<End> | null {
  if (!isPresent(fields, 'services')) return null;
  const service = fieldsIn(fields, 'services');
  const home = textIn(service, 'namespace') || namespace;
  const its = slices.filter((slice) => slice.namespace === home && slice.service === textIn(service, 'name'));
  const hasPort = (slice: Slice, end: End) =>
    slice.ports.some(({ protocol, port }) => protocol === end.protocol && port === end.port);
  return (end) =>
    its.some((slice) => slice.addresses.includes(end.address) && (side === 'source' || hasPort(slice, end)));
}

/** Null when the rule says nothing about who it is. */
function chosenOwner(fields: Fields, namespace: string): Matches<Owner> | null {
  const selector = textIn(fields, 'selector');
  const namespaceSelector = textIn(fields, 'namespaceSelector');
  const accounts = accountsMatch(fieldsIn(fields, 'serviceAccounts'));
  const namesOwners = selector !== '' || accounts !== null || textIn(fields, 'notSelector') !== '';
  const staysHome = namespace !== '' && namesOwners && namespaceSelector === '';
  if (!selector && !namespaceSelector && !accounts && !staysHome) return null;
  const bySelector = selects(selector);
  const byNamespace = namespaceSelector ? selects(namespaceSelector) : null;
  return (owner) =>
    bySelector(labelsOf(owner)) &&
    (!staysHome || owner.labels.get(namespaceLabel) === namespace) &&
    (!byNamespace || byNamespace(namespaceOfOwner(owner))) &&
    (!accounts || accounts(owner));
}

function accountsMatch(accounts: Fields): Matches<Owner> | null {
  const names = textsIn(accounts, 'names');
  const selector = textIn(accounts, 'selector');
  if (names.length === 0 && !selector) return null;
  const bySelector = selector ? selects(selector) : null;
  return (owner) =>
    (names.length === 0 || names.includes(owner.labels.get(serviceAccountLabel) ?? '')) &&
    (!bySelector || bySelector(serviceAccountOfOwner(owner)));
}

/** @param eligible - whose named ports count. */
function portsMatch(fields: Fields, eligible: readonly Owner[]): Matches<End> {
  const wanted = listIn(fields, 'ports').map(String);
  const unwanted = listIn(fields, 'notPorts').map(String);
  const isPort = (end: End) => (port: string) => portMatches(port, end, eligible);
  return (end) => (wanted.length === 0 || wanted.some(isPort(end))) && !unwanted.some(isPort(end));
}

function portMatches(port: string, end: End, eligible: readonly Owner[]): boolean {
  if (!hasPorts(end.protocol) || end.port === undefined) return false;
  const range = tryParsePortRange(port);
  if (range) return end.port >= range.first && end.port <= range.last;
  return eligible.some(
    (owner) => owns(owner, end.address) && hasNamedPort(owner.ports, port, end.protocol, end.port),
  );
}
