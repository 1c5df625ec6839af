// SPDX-License-Identifier: Apache-2.0
/**
 * The shape of a rule, and what must hold between its fields.
 *
 * Sources: the CRD's schema and CEL rules for single fields and their combinations; libcalico-go/lib/validator/v3 for
 * what only Go checks (masks, families, ports against protocols, direction of service matches, global()).
 */
import { familyOf } from '../../lib/address.ts';
import { isStrictCidr, prefixLength, tryParseCidr } from '../../lib/cidr.ts';
import { tryParsePortRange } from '../../lib/ports.ts';
import { hasPorts, tryParseProtocol } from '../../lib/protocol.ts';
import { listAt, member, memberAt, textAt } from '../json.ts';
import { foldNode } from '../selector/ast.ts';
import { parseSelector, SelectorError } from '../selector/parse.ts';
import { annotations, dnsNameText } from './names.ts';
import {
  type Check,
  childPath,
  every,
  integer,
  judged,
  list,
  object,
  oneOf,
  type Report,
  shown,
  text,
} from './schema.ts';

export const maxRules = 1024;
const maxNets = 256;
const maxPorts = 50;
const maxSelectorText = 1024;

/** Which list of which kind of policy a rule stands in. */
export interface RuleSite {
  readonly direction: 'ingress' | 'egress';
  /** The policy has no namespace: a service must name its own. */
  readonly global: boolean;
}

/** @param global - where `global()` may stand: nowhere, or alone. */
export function selectorText(global: 'refused' | 'alone' = 'refused'): Check {
  return every(text({ max: maxSelectorText, want: 'a selector' }), (value, path, report) => {
    if (typeof value !== 'string' || value.length > maxSelectorText) return;
    try {
      const { root } = parseSelector(value);
      if (!usesGlobal(root) || (global === 'alone' && root.kind === 'global')) return;
      const where =
        global === 'alone'
          ? 'it stands alone'
          : "it is for the namespaceSelector of a rule's source or destination";
      report(path, `got global(), want a selector without it: ${where}`);
    } catch (error) {
      if (!(error instanceof SelectorError)) throw error;
      report(path, error.message);
    }
  });
}

function usesGlobal(root: Parameters<typeof foldNode>[0]): boolean {
  return foldNode<boolean>(root, {
    leaf: (leaf) => leaf.kind === 'global',
    not: (operand) => operand,
    join: (_, operands) => operands.includes(true),
  });
}

export const protocol: Check = judged((value) => {
  const known = typeof value === 'string' || typeof value === 'number' ? tryParseProtocol(value) : null;
  return known === null
    ? `got ${shown(value)}, want TCP, UDP, SCTP, ICMP, ICMPv6, UDPLite or a number from 1 to 255`
    : null;
});

/** IANA_SVC_NAME as Kubernetes checks it: util/validation.IsValidPortName. */
export function isPortName(name: string): boolean {
  return /^[a-z0-9-]{1,15}$/.test(name) && /[a-z]/.test(name) && !/--|^-|-$/.test(name);
}

const port: Check = judged((value) => {
  const range = typeof value === 'string' || typeof value === 'number' ? tryParsePortRange(value) : null;
  if (range || (typeof value === 'string' && isPortName(value))) return null;
  return `got ${shown(value)}, want a port from 0 to 65535, a range like 8000:8080 or the name of a port`;
});

const net: Check = judged((value) => {
  const cidr = typeof value === 'string' ? tryParseCidr(value) : null;
  if (!cidr) return `got ${shown(value)}, want a CIDR like 10.0.0.0/8 or fd00::/8`;
  return isStrictCidr(String(value))
    ? null
    : `got ${shown(value)}, want ${cidr}: bits after the prefix must be zero`;
});

const notNet: Check = every(net, (value, path, report) => {
  const cidr = typeof value === 'string' ? tryParseCidr(value) : null;
  if (cidr && prefixLength(cidr) === 0)
    report(path, `got ${shown(value)}, want a smaller CIDR: nothing would match`);
});

const icmp: Check = every(object({ type: integer(0, 254), code: integer(0, 255) }), (value, path, report) => {
  if (member(value, 'code') !== undefined && member(value, 'type') === undefined) {
    report(childPath(path, 'code'), 'got a code without a type, want both or the type alone');
  }
});

const entity: Check = object({
  nets: list(net, { max: maxNets }),
  notNets: list(notNet, { max: maxNets }),
  selector: selectorText(),
  notSelector: selectorText(),
  namespaceSelector: selectorText('alone'),
  services: object({ name: text(), namespace: text() }),
  ports: list(port, { max: maxPorts }),
  notPorts: list(port, { max: maxPorts }),
  serviceAccounts: object({ names: list(dnsNameText), selector: selectorText() }),
});

const httpPath: Check = every(
  object({ exact: text({ max: 1024 }), prefix: text({ max: 1024 }) }),
  (value, path, report) => {
    const set = ['exact', 'prefix'].filter((name) => textAt(value, name) !== '');
    if (set.length !== 1)
      report(path, `got ${set.length === 0 ? 'neither' : 'both'}, want one of exact and prefix`);
    else if (/[?#]/.test(textAt(value, set[0] ?? '')))
      report(path, 'got a query or fragment, want a path alone');
  },
);

const http: Check = object({
  // token of RFC 9110 section 5.6.2
  methods: list(text({ pattern: /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}$|^\*$/, want: 'an HTTP method' }), {
    max: 20,
    unique: true,
  }),
  paths: list(httpPath, { max: 20 }),
});

const shape: Check = object(
  {
    action: oneOf('Allow', 'Deny', 'Log', 'Pass'),
    ipVersion: oneOf(4, 6),
    protocol,
    notProtocol: protocol,
    icmp,
    notICMP: icmp,
    source: entity,
    destination: entity,
    http,
    metadata: object({ annotations }),
  },
  { required: ['action'] },
);

export function rules(site: RuleSite): Check {
  const rule = every(shape, (value, path, report) => {
    checkHttp(value, path, site, report);
    checkIcmp(value, path, report);
    checkPorts(value, path, report);
    checkFamilies(value, path, report);
    checkServices(value, path, site, report);
  });
  return list(rule, { max: maxRules });
}

function checkHttp(rule: unknown, path: string, site: RuleSite, report: Report): void {
  if (member(rule, 'http') === undefined) return;
  const at = childPath(path, 'http');
  if (site.direction !== 'ingress') report(at, 'got http in an egress rule, want it in ingress rules only');
  if (textAt(rule, 'action') !== 'Allow')
    report(at, `got http with action ${shown(member(rule, 'action'))}, want Allow`);
  const protocol = member(rule, 'protocol');
  if (protocol !== undefined && protocolNumber(protocol) !== 6)
    report(at, `got http with protocol ${shown(protocol)}, want TCP`);
}

const icmpFamilies: ReadonlyMap<string, 4 | 6> = new Map([
  ['icmp', 4],
  ['icmpv6', 6],
]);

function checkIcmp(rule: unknown, path: string, report: Report): void {
  const name = textAt(rule, 'protocol').toLowerCase();
  for (const field of ['icmp', 'notICMP']) {
    if (member(rule, field) === undefined || icmpFamilies.has(name)) continue;
    report(
      childPath(path, field),
      `got protocol ${shown(member(rule, 'protocol'))}, want ICMP or ICMPv6 with ${field}`,
    );
  }
  const ipVersion = member(rule, 'ipVersion');
  for (const field of ['protocol', 'notProtocol']) {
    const family = icmpFamilies.get(textAt(rule, field).toLowerCase());
    if (family === undefined || ipVersion === undefined || ipVersion === family) continue;
    report(
      childPath(path, 'ipVersion'),
      `got ${shown(ipVersion)}, want ${family} with ${field} ${textAt(rule, field)}`,
    );
  }
}

/** Numbers mean nothing without a protocol that has ports; names bring their protocol along, unless the rule forbids it. */
function checkPorts(rule: unknown, path: string, report: Report): void {
  const protocol = member(rule, 'protocol');
  const number = protocolNumber(protocol);
  if (number !== null && hasPorts(number)) return;
  for (const [side, field] of portFields) {
    const ports = listAt(rule, side, field);
    const named = ports.every((port) => typeof port === 'string' && tryParsePortRange(port) === null);
    if (ports.length === 0 || (protocol === undefined && named)) continue;
    report(`${path}.${side}.${field}`, `got protocol ${shown(protocol)}, want TCP, UDP or SCTP with ports`);
  }
}

const portFields = [
  ['source', 'ports'],
  ['source', 'notPorts'],
  ['destination', 'ports'],
  ['destination', 'notPorts'],
] as const;

/** The first family that the rule's CIDRs or its ipVersion name binds the others. */
function checkFamilies(rule: unknown, path: string, report: Report): void {
  const ipVersion = member(rule, 'ipVersion');
  let bound: unknown = ipVersion;
  for (const side of ['source', 'destination']) {
    for (const field of ['nets', 'notNets']) {
      for (const [i, item] of listAt(rule, side, field).entries()) {
        const cidr = typeof item === 'string' ? tryParseCidr(item) : null;
        if (!cidr) continue;
        bound ??= familyOf(cidr);
        if (familyOf(cidr) === bound) continue;
        const why =
          ipVersion === undefined ? 'one rule has CIDRs of one family' : `ipVersion is ${shown(ipVersion)}`;
        report(`${path}.${side}.${field}[${i}]`, `got ${shown(item)}, want an IPv${bound} CIDR: ${why}`);
      }
    }
  }
}

const servicesExclude = [
  'selector',
  'notSelector',
  'namespaceSelector',
  'serviceAccounts',
  'nets',
  'notNets',
];

function checkServices(rule: unknown, path: string, site: RuleSite, report: Report): void {
  for (const side of ['source', 'destination']) {
    const services = memberAt(rule, side, 'services');
    if (services === undefined) continue;
    const at = `${path}.${side}.services`;
    const allowed = site.direction === 'ingress' ? 'source' : 'destination';
    if (side !== allowed)
      report(at, `got services in the ${side} of an ${site.direction} rule, want it in the ${allowed}`);
    if (textAt(services, 'name') === '') report(`${at}.name`, 'got nothing, want the name of a service');
    if (site.global && textAt(services, 'namespace') === '') {
      report(`${at}.namespace`, 'got nothing, want the namespace of the service: the policy has none');
    }
    const others = side === 'destination' ? [...servicesExclude, 'ports', 'notPorts'] : servicesExclude;
    const used = others.filter((field) => isUsed(memberAt(rule, side, field)));
    if (used.length > 0) report(at, `got services together with ${used.join(', ')}, want services alone`);
  }
}

function isUsed(value: unknown): boolean {
  return value !== undefined && value !== '' && !(Array.isArray(value) && value.length === 0);
}

function protocolNumber(value: unknown): number | null {
  return typeof value === 'string' || typeof value === 'number' ? tryParseProtocol(value) : null;
}
