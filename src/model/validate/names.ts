// SPDX-License-Identifier: Apache-2.0
/** Names, labels and annotations: Kubernetes' rules (k8s.io/apimachinery, util/validation). */
import { isObject } from '../json.ts';
import { anything, type Check, every, finite, list, map, object, shown, text } from './check.ts';

const dnsLabel = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const labelName = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const labelValue = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;
const maxSubdomain = 253;
/** All annotations of one object, keys and values. */
const maxAnnotationBytes = 262_144;

/** Labels joined by dots. Split first: one expression over the whole would backtrack on hostile names. */
export function isDnsSubdomain(name: string): boolean {
  return (
    name.length <= maxSubdomain &&
    name.split('.').every((part) => part.length <= maxSubdomain && subLabel(part))
  );
}

/** In subdomains a part may be longer than 63: Kubernetes limits only the whole. */
function subLabel(part: string): boolean {
  return /^[-a-z0-9]+$/.test(part) && !part.startsWith('-') && !part.endsWith('-');
}

/** IANA_SVC_NAME as Kubernetes checks it: util/validation.IsValidPortName. */
export function isPortName(name: string): boolean {
  return /^[a-z0-9-]{1,15}$/.test(name) && /[a-z]/.test(name) && !/--|^-|-$/.test(name);
}

/** Why `key` is no label key, reading on from "got …, "; null if it is one. */
export function labelKeyFault(key: string): string | null {
  const slash = key.indexOf('/');
  const prefixGood = slash < 0 || (slash > 0 && isDnsSubdomain(key.slice(0, slash)));
  if (prefixGood && labelName.test(key.slice(slash + 1))) return null;
  return "want [DNS name/] and at most 63 of letters, digits, '-', '_' and '.', first and last a letter or digit";
}

export const labelText: Check = text({
  pattern: labelValue,
  want: "at most 63 of letters, digits, '-', '_' and '.', first and last a letter or digit",
});

export const labels: Check = map(labelKeyFault, labelText);

export const annotations: Check = every(
  map((key) => labelKeyFault(key.toLowerCase()), text()),
  (value, path, report) => {
    if (!isObject(value)) return;
    let size = 0;
    for (const [key, child] of Object.entries(value))
      size += key.length + (typeof child === 'string' ? child.length : 0);
    if (size > maxAnnotationBytes)
      report(path, `got ${size} characters, want at most ${maxAnnotationBytes} in all`);
  },
);

export const dnsLabelText: Check = text({
  pattern: dnsLabel,
  want: "a DNS label: at most 63 of lower case letters, digits and '-', first and last a letter or digit",
});

export const dnsNameText: Check = (value, path, report) => {
  if (typeof value !== 'string' || !isDnsSubdomain(value)) {
    report(
      path,
      `got ${shown(value)}, want a DNS name: at most 253 of lower case letters, digits, '-' and '.'`,
    );
  }
};

/** @param open - lets members through that Kubernetes may add some day. */
export function metadata(
  name: Check,
  options: { namespaced: boolean; open: boolean; labels?: Check },
): Check {
  return every(
    object(
      {
        name,
        namespace: options.namespaced
          ? dnsLabelText
          : (_, path, report) => report(path, 'the kind has no namespace'),
        labels: options.labels ?? labels,
        annotations,
        uid: text(),
        resourceVersion: text(),
        creationTimestamp: text(),
        deletionTimestamp: text(),
        deletionGracePeriodSeconds: finite,
        generateName: text(),
        generation: finite,
        selfLink: text(),
        finalizers: list(text()),
        managedFields: list(anything),
        ownerReferences: list(anything),
      },
      { required: ['name'], open: options.open },
    ),
  );
}
