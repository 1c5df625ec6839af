// SPDX-License-Identifier: Apache-2.0
/**
 * Formats of single values: Kubernetes' own, and the checks that Calico has only in Go (libcalico-go/lib/validator/v3),
 * each under the name by which schemas ask for it.
 */
import { familyOf, tryParseAddress } from '../../lib/address.ts';
import { isStrictCidr, prefixLength, tryParseCidr } from '../../lib/cidr.ts';
import { tryParsePortRange } from '../../lib/ports.ts';
import { hasPorts, tryParseProtocol } from '../../lib/protocol.ts';
import type { OwnFormat, PublishedFormat } from '../schema/schema.ts';
import { type Check, judged, map, shown, text } from './check.ts';
import {
  annotations,
  dnsLabelText,
  dnsNameText,
  isPortName,
  labelKeyFault,
  labels,
  labelText,
} from './names.ts';
import { selectorText } from './selector-text.ts';

/** @param want - reads on from "got …, ". */
function good(accepts: (value: unknown) => boolean, want: string): Check {
  return judged((value) => (accepts(value) ? null : `got ${shown(value)}, ${want}`));
}

function goodText(accepts: (value: string) => boolean, want: string): Check {
  return good((value) => typeof value === 'string' && accepts(value), want);
}

/** Most fields of Calico take '' for nothing. */
function orEmpty(check: Check): Check {
  return (value, path, report) => (value === '' ? undefined : check(value, path, report));
}

function address(families: readonly number[], want: string): Check {
  return orEmpty(
    goodText((value) => {
      const found = tryParseAddress(value);
      return found !== null && families.includes(familyOf(found));
    }, want),
  );
}

interface NetForm {
  readonly families?: readonly number[];
  /** No bits after the prefix. */
  readonly strict?: true;
  /** An address stands for itself. */
  readonly bare?: true;
  readonly want: string;
}

function net({ families = [4, 6], strict, bare, want }: NetForm): Check {
  return judged((value) => {
    const cidr = typeof value === 'string' && (bare || value.includes('/')) ? tryParseCidr(value) : null;
    if (!cidr || !families.includes(familyOf(cidr))) return `got ${shown(value)}, want ${want}`;
    if (!strict || isStrictCidr(String(value))) return null;
    return `got ${shown(value)}, want ${cidr}: bits after the prefix must be zero`;
  });
}

const ruleNet = net({ strict: true, bare: true, want: 'a CIDR like 10.0.0.0/8 or fd00::/8' });

const negatedNet: Check = (value, path, report) => {
  ruleNet(value, path, report);
  const cidr = typeof value === 'string' ? tryParseCidr(value) : null;
  if (cidr && prefixLength(cidr) === 0)
    report(path, `got ${shown(value)}, want a smaller CIDR: nothing would match`);
};

function isRange(value: unknown): boolean {
  return (typeof value === 'string' || typeof value === 'number') && tryParsePortRange(value) !== null;
}

function isAsNumber(value: unknown): boolean {
  if (typeof value === 'number') return Number.isInteger(value) && value >= 0 && value <= 0xffffffff;
  if (typeof value !== 'string' || !/^\d{1,10}(\.\d{1,5})?$/.test(value)) return false;
  const [high = '', low] = value.split('.');
  return low === undefined ? Number(high) <= 0xffffffff : Number(high) <= 0xffff && Number(low) <= 0xffff;
}

/** RFC 1997 and RFC 8092: two numbers of 16 bits, or three of 32. */
export function isCommunity(value: string): boolean {
  const parts = value.split(':');
  const most = parts.length === 2 ? 0xffff : 0xffffffff;
  return (
    (parts.length === 2 || parts.length === 3) &&
    parts.every((part) => /^(0|[1-9]\d{0,9})$/.test(part) && Number(part) <= most)
  );
}

/** IANA's names of differentiated services code points, as api/pkg/lib/numorstring has them. */
const dscpNames = new Set([
  ...['DF', 'EF', 'VA', 'LE', 'CS0', 'CS1', 'CS2', 'CS3', 'CS4', 'CS5', 'CS6'],
  ...['AF11', 'AF12', 'AF13', 'AF21', 'AF22', 'AF23', 'AF31', 'AF32', 'AF33', 'AF41', 'AF42', 'AF43'],
]);

function isDscp(value: unknown): boolean {
  if (typeof value === 'number') return Number.isInteger(value) && value >= 0 && value <= 63;
  if (typeof value !== 'string') return false;
  return dscpNames.has(value.toUpperCase()) || (/^\d{1,2}$/.test(value) && Number(value) <= 63);
}

/** `192.0.2.1`, `192.0.2.1:179`, `fd00::1` or `[fd00::1]:179`. */
function isPeerAddress(value: string): boolean {
  if (tryParseAddress(value)) return true;
  const [, v6, v4, port = ''] = /^(?:\[([^\]]*)\]|([0-9.]+)):(\d{1,5})$/.exec(value) ?? [];
  const found = tryParseAddress(v6 ?? v4 ?? '');
  return found !== null && familyOf(found) === (v6 === undefined ? 4 : 6) && isPort(Number(port));
}

function isPort(value: number): boolean {
  return value >= 1 && value <= 65535;
}

function isRegex(value: string): boolean {
  try {
    return new RegExp(value) !== null;
  } catch {
    return false;
  }
}

/** Go's time.ParseDuration. */
const goDuration = /^[-+]?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))+)$/;

/** As the kernel takes it, dev_valid_name in net/core/dev.c, less what means something to others. */
const interfaceName = /^(?!\.{1,2}$)[a-zA-Z0-9_.-]{1,15}$/;

/** Labels that pods inherit may carry prefixes such as `pcns.`, so their keys are checked as selectors read them. */
const inheritedLabels: Check = map(
  (key) =>
    /^[a-zA-Z0-9_./-]{1,512}$/.test(key)
      ? null
      : "want at most 512 of letters, digits, '_', '.', '/' and '-'",
  text(),
);

/** A selector is made of it, so that anything else could leave it. */
const labelKey: Check = judged((value) => {
  const fault = typeof value === 'string' ? labelKeyFault(value) : 'want the key of a label';
  return fault === null ? null : `got ${shown(value)}, ${fault}`;
});

const plainChecks: { readonly [F in OwnFormat | Exclude<PublishedFormat, 'int32' | 'int64'>]: Check } = {
  selector: selectorText(),
  'rule-namespace-selector': selectorText('alone'),
  protocol: good(
    (value) => (typeof value === 'string' || typeof value === 'number') && tryParseProtocol(value) !== null,
    'want TCP, UDP, SCTP, ICMP, ICMPv6, UDPLite or a number from 1 to 255',
  ),
  'protocol-with-ports': good((value) => {
    const number = typeof value === 'string' || typeof value === 'number' ? tryParseProtocol(value) : null;
    return number !== null && hasPorts(number);
  }, 'want TCP, UDP or SCTP'),
  'rule-port': good(
    (value) => isRange(value) || (typeof value === 'string' && isPortName(value)),
    'want a port from 0 to 65535, a range like 8000:8080 or the name of a port',
  ),
  'pod-port': good(
    (value) =>
      typeof value === 'string' ? isPortName(value) : Number.isInteger(value) && isPort(Number(value)),
    'want a port from 1 to 65535 or the name of a port',
  ),
  'port-range': good(isRange, 'want a port from 0 to 65535 or a range like 8000:8080'),
  net: ruleNet,
  'negated-net': negatedNet,
  'any-net': net({ bare: true, want: 'an address or a CIDR' }),
  'ipv4-net': net({ families: [4], bare: true, want: 'an IPv4 address or CIDR' }),
  cidr: net({ want: 'a CIDR like 192.168.0.0/16' }),
  'masked-cidr': net({ strict: true, want: 'a CIDR like 192.168.0.0/16' }),
  'ipv4-cidr': orEmpty(net({ families: [4], strict: true, want: 'an IPv4 CIDR' })),
  'ipv6-cidr': orEmpty(net({ families: [6], strict: true, want: 'an IPv6 CIDR' })),
  'ipv4-interface': orEmpty(
    net({ families: [4], bare: true, want: 'an IPv4 address, with its prefix length' }),
  ),
  'ipv6-interface': orEmpty(
    net({ families: [6], bare: true, want: 'an IPv6 address, with its prefix length' }),
  ),
  ip: address([4, 6], 'want an address'),
  ipv4: address([4], 'want an IPv4 address'),
  ipv6: address([6], 'want an IPv6 address'),
  'peer-address': orEmpty(
    goodText(isPeerAddress, 'want an address, or with a port 192.0.2.1:179 or [fd00::1]:179'),
  ),
  'dns-name': orEmpty(dnsNameText),
  'dns-label': orEmpty(dnsLabelText),
  labels,
  'label-key': labelKey,
  'label-value': labelText,
  annotations,
  'inherited-labels': inheritedLabels,
  interface: orEmpty(
    goodText(
      (value) => interfaceName.test(value),
      "want the name of an interface: 1 to 15 of letters, digits, '_', '.' and '-'",
    ),
  ),
  'interface-or-any': orEmpty(
    goodText(
      (value) => value === '*' || interfaceName.test(value),
      "want the name of an interface, 1 to 15 of letters, digits, '_', '.' and '-', or *",
    ),
  ),
  'interface-pattern': orEmpty(
    goodText(
      (value) => /^[a-zA-Z0-9_.*-]{1,15}$/.test(value),
      "want the name of an interface, 1 to 15 of letters, digits, '_', '.' and '-', with * for any part",
    ),
  ),
  'interface-filter': orEmpty(
    goodText(
      (value) => /^[a-zA-Z0-9:._+-]{1,15}$/.test(value),
      "want the name of an interface, 1 to 15 of letters, digits, '_', '.', ':' and '-', with + for any end",
    ),
  ),
  'port-name': orEmpty(
    goodText(isPortName, "want the name of a port: 1 to 15 of lower case letters, digits and '-'"),
  ),
  // token of RFC 9110 section 5.6.2
  'http-method': goodText(
    (value) => /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}$/.test(value),
    'want an HTTP method',
  ),
  regex: goodText(isRegex, 'want a regular expression'),
  duration: orEmpty(goodText((value) => goDuration.test(value), 'want a duration like 90s, 1.5h or 2m30s')),
  'date-time': goodText(
    (value) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[-+]\d\d:\d\d)$/i.test(value),
    'want a time like 2026-08-22T10:00:00Z',
  ),
  'as-number': good(isAsNumber, 'want an AS number: 0 to 4294967295, or two of 16 bits like 65000.1'),
  community: goodText(
    isCommunity,
    'want a BGP community: two numbers of 16 bits like 65000:100, or three of 32',
  ),
  dscp: good(isDscp, 'want a DSCP from 0 to 63 or a class like AF11'),
  mac: orEmpty(
    goodText(
      (value) => /^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i.test(value),
      'want a MAC address like ee:ee:ee:ee:ee:ee',
    ),
  ),
  // 32 bytes: the last of 44 characters is padding, the one before holds two bits
  'wireguard-key': orEmpty(
    goodText(
      (value) => /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/.test(value),
      'want a WireGuard key: 32 bytes in base64',
    ),
  ),
  host: orEmpty(
    goodText(
      (value) => /^[a-zA-Z0-9:._+-]{1,64}$/.test(value),
      'want the name or address of a host: at most 64 characters',
    ),
  ),
};

export const formatChecks: ReadonlyMap<string, Check> = new Map(Object.entries(plainChecks));
