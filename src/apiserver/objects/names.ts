// SPDX-License-Identifier: Apache-2.0
/**
 * Names, labels and addresses as Kubernetes takes them: what is wrong with a text, in the server's words (null: nothing).
 *
 * @see k8s.io/apimachinery/pkg/util/validation
 */

const labelForm = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const subdomainForm = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const qualifiedForm = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const labelValueForm = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/;
const configKeyForm = /^[-._a-zA-Z0-9]+$/;

const dns1123Label =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const dns1123Subdomain =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const qualifiedName =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const labelValue =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

export const badAddress = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';
export const badCidr = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)';
export const badPort = 'must be between 1 and 65535, inclusive';
export const loopbackAddress = 'may not be in the loopback range (127.0.0.0/8, ::1/128)';

export type NameFaults = (name: string) => readonly string[];

export function labelFaults(name: string): readonly string[] {
  return [
    ...(name.length > 63 ? ['must be no more than 63 characters'] : []),
    ...(labelForm.test(name) ? [] : [dns1123Label]),
  ];
}

export function subdomainFaults(name: string): readonly string[] {
  return [
    ...(name.length > 253 ? ['must be no more than 253 characters'] : []),
    ...(subdomainForm.test(name) ? [] : [dns1123Subdomain]),
  ];
}

/** What can stand as one segment of a path: names of roles and bindings. */
export function pathSegmentFaults(name: string): readonly string[] {
  if (name === '.' || name === '..') return [`may not be '${name}'`];
  return ['/', '%'].filter((char) => name.includes(char)).map((char) => `may not contain '${char}'`);
}

/** `prefix/name` or `name`: keys of labels, annotations, taints. */
export function qualifiedFaults(key: string): readonly string[] {
  const parts = key.split('/');
  if (parts.length > 2)
    return [
      `a qualified name ${qualifiedName} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  const [name = '', prefix] = parts.reverse();
  return [...prefixFaults(prefix), ...namePartFaults(name)];
}

function prefixFaults(prefix: string | undefined): readonly string[] {
  if (prefix === undefined) return [];
  if (prefix === '') return ['prefix part must be non-empty'];
  return subdomainFaults(prefix).map((fault) => `prefix part ${fault}`);
}

function namePartFaults(name: string): readonly string[] {
  if (name === '') return ['name part must be non-empty', `name part ${qualifiedName}`];
  return [
    ...(name.length > 63 ? ['name part must be no more than 63 bytes'] : []),
    ...(qualifiedForm.test(name) ? [] : [`name part ${qualifiedName}`]),
  ];
}

export function labelValueFaults(value: string): readonly string[] {
  return [
    ...(value.length > 63 ? ['must be no more than 63 bytes'] : []),
    ...(labelValueForm.test(value) ? [] : [labelValue]),
  ];
}

export function configKeyFaults(key: string): readonly string[] {
  if (key === '.' || key === '..') return [`may not be '${key}'`];
  return [
    ...(key.length > 253 ? ['must be no more than 253 characters'] : []),
    ...(configKeyForm.test(key)
      ? []
      : [
          "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
        ]),
  ];
}

/** A port's name, as services and containers give it: IANA_SVC_NAME of RFC 6335. */
export function portNameFaults(name: string): readonly string[] {
  const faults: string[] = [];
  if (name.length > 15) faults.push('must be no more than 15 characters');
  if (!/^[-a-z0-9]+$/.test(name))
    faults.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)');
  if (!/[a-z]/.test(name)) faults.push('must contain at least one letter (a-z)');
  if (name.includes('--')) faults.push('must not contain consecutive hyphens');
  if (/^-|-$/.test(name)) faults.push('must not begin or end with a hyphen');
  return faults;
}
