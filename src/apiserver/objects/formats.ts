// SPDX-License-Identifier: Apache-2.0
/** Formats of strings that an API server checks in custom resources; it lets every other one pass. */
import { familyOf, tryParseAddress } from '../../lib/address.ts';
import { tryParseCidr } from '../../lib/cidr.ts';
import { labelFaults, subdomainFaults } from './names.ts';

const forms: ReadonlyMap<string, RegExp> = new Map([
  ['mac', /^([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}$|^([0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}$/],
  ['uuid', /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i],
  ['date', /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/],
  ['byte', /^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/],
  ['email', /^[^\s@]+@[^\s@]+$/],
  ['uri', /^(\/|[A-Za-z][A-Za-z0-9+.-]*:)\S*$/],
  ['duration', /^(\d+(\.\d+)?\s*(ns|us|µs|ms|s|m|h|d|w|hours?|minutes?|seconds?|days?|weeks?)\s*)+$|^0$/],
  [
    'hostname',
    /^([A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?\.?$/,
  ],
]);

const checks: ReadonlyMap<string, (value: string) => boolean> = new Map([
  ['ipv4', (value) => isAddress(value, 4)],
  ['ipv6', (value) => isAddress(value, 6)],
  ['cidr', (value) => value.includes('/') && tryParseCidr(value) !== null],
  ['date-time', isInstant],
  ['datetime', isInstant],
  ['k8s-short-name', (value) => labelFaults(value).length === 0],
  ['k8s-long-name', (value) => subdomainFaults(value).length === 0],
]);

export function fitsFormat(format: string, value: string): boolean {
  const check = checks.get(format);
  return check ? check(value) : (forms.get(format)?.test(value) ?? true);
}

function isAddress(value: string, family: 4 | 6): boolean {
  const address = tryParseAddress(value);
  return address !== null && familyOf(address) === family;
}

function isInstant(value: string): boolean {
  return (
    /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)?$/.test(value) &&
    !Number.isNaN(Date.parse(value))
  );
}
