// SPDX-License-Identifier: Apache-2.0
/**
 * What must hold between the fields of a rule, and of a rule with the place that it stands in: the checks that Calico
 * has only in Go (libcalico-go/lib/validator/v3). The rest is in the schema, ../schema/policy-rule.ts.
 */
import { familyOf } from '../../lib/address.ts';
import { tryParseCidr } from '../../lib/cidr.ts';
import { tryParsePortRange } from '../../lib/ports.ts';
import { hasPorts, tryParseProtocol } from '../../lib/protocol.ts';
import { listAt, member, memberAt, textAt } from '../json.ts';
import { type Check, childPath, type Report, shown } from './check.ts';

/** Which list of which kind of policy a rule stands in. */
interface RuleSite {
  readonly direction: 'ingress' | 'egress';
  /** The policy has no namespace: a service must name its own. */
  readonly global: boolean;
}

/** Of a resource with `spec.ingress` and `spec.egress`. */
export function rulesOf(global: boolean): Check {
  return (value, _, report) => {
    for (const direction of ['ingress', 'egress'] as const) {
      for (const [i, rule] of listAt(value, 'spec', direction).entries())
        checkRule(rule, `spec.${direction}[${i}]`, { direction, global }, report);
    }
  };
}

function checkRule(rule: unknown, path: string, site: RuleSite, report: Report): void {
  checkHttp(rule, path, site, report);
  checkPorts(rule, path, report);
  checkFamilies(rule, path, report);
  checkServices(rule, path, site, report);
}

function checkHttp(rule: unknown, path: string, site: RuleSite, report: Report): void {
  if (member(rule, 'http') === undefined) return;
  const at = childPath(path, 'http');
  if (site.direction !== 'ingress') report(at, 'got http in an egress rule, want it in ingress rules only');
  for (const [i, item] of listAt(rule, 'http', 'paths').entries()) {
    for (const field of ['exact', 'prefix']) {
      const written = textAt(item, field);
      // RFC 3986 section 3.3: what Envoy is asked about begins with a slash, without its query
      if (written !== '' && !/^\/[^?# ]*$/.test(written))
        report(`${at}.paths[${i}].${field}`, `got ${shown(written)}, want a path that begins with /, alone`);
    }
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

function checkServices(rule: unknown, path: string, site: RuleSite, report: Report): void {
  for (const side of ['source', 'destination']) {
    const services = memberAt(rule, side, 'services');
    if (services === undefined) continue;
    const at = `${path}.${side}.services`;
    const allowed = site.direction === 'ingress' ? 'source' : 'destination';
    if (side !== allowed)
      report(at, `got services in the ${side} of an ${site.direction} rule, want it in the ${allowed}`);
    if (site.global && textAt(services, 'namespace') === '')
      report(`${at}.namespace`, 'got nothing, want the namespace of the service: the policy has none');
  }
}

function protocolNumber(value: unknown): number | null {
  return typeof value === 'string' || typeof value === 'number' ? tryParseProtocol(value) : null;
}
