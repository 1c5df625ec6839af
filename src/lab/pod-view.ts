// SPDX-License-Identifier: Apache-2.0
/** The few fields of a Pod that running it takes, read from a manifest that was validated before it was stored. */
import { tryParseAddress } from '../lib/address.ts';
import type { Address } from '../lib/brand.ts';
import type { Resource } from '../model/types.ts';
import type { ServedPort } from './echo.ts';

export interface PodView {
  readonly namespace: string;
  readonly name: string;
  /** Tells a Pod from an earlier one of its name. */
  readonly uid: string;
  readonly node: string | null;
  /** As status.podIPs (or podIP) has them; empty until the lab assigned some or the author chose some. */
  readonly addresses: readonly Address[];
  /** What the author asked for: cni.projectcalico.org/ipAddrs. */
  readonly wanted: readonly Address[];
  readonly phase: string;
  readonly hostNetwork: boolean;
  readonly ports: readonly ServedPort[];
}

const ipAddrsAnnotation = 'cni.projectcalico.org/ipAddrs';

export function podView(pod: Resource): PodView {
  const spec = fieldsOf(pod.spec);
  const status = fieldsOf(pod.status);
  const single = typeof status.podIP === 'string' ? [status.podIP] : [];
  const several = listOf(status.podIPs).map((item) => String(fieldsOf(item).ip ?? ''));
  return {
    namespace: pod.metadata.namespace ?? 'default',
    name: pod.metadata.name,
    uid: pod.metadata.uid ?? '',
    node: typeof spec.nodeName === 'string' && spec.nodeName !== '' ? spec.nodeName : null,
    addresses: addressesOf([...single, ...several]),
    wanted: addressesOf(jsonList(pod.metadata.annotations?.[ipAddrsAnnotation])),
    phase: typeof status.phase === 'string' ? status.phase : '',
    hostNetwork: spec.hostNetwork === true,
    ports: listOf(spec.containers).flatMap((container) => portsOf(fieldsOf(container))),
  };
}

function portsOf(container: Fields): ServedPort[] {
  return listOf(container.ports).flatMap((item) => {
    const { containerPort, protocol = 'TCP' } = fieldsOf(item);
    const served = typeof containerPort === 'number' && (protocol === 'TCP' || protocol === 'UDP');
    return served ? [{ protocol, port: containerPort }] : [];
  });
}

function addressesOf(texts: readonly string[]): readonly Address[] {
  const parsed = texts.map(tryParseAddress).filter((address) => address !== null);
  return [...new Set(parsed)];
}

function jsonList(text: string | undefined): readonly string[] {
  if (text === undefined) return [];
  try {
    return listOf(JSON.parse(text)).map(String);
  } catch {
    return []; // what does not parse asks for nothing in particular; `validate` names it
  }
}

interface Fields {
  readonly [key: string]: unknown;
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
