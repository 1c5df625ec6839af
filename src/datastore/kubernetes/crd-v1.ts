// SPDX-License-Identifier: Apache-2.0
/**
 * Calico's older storage form: `crd.projectcalico.org/v1` holds the v3 spec under a metadata of its own, and the v3
 * metadata's labels and annotations as JSON in an annotation.
 *
 * @see libcalico-go/lib/backend/k8s/resources, ConvertK8sResourceToCalicoResource
 */
import { isObject, textAt } from '../../model/json.ts';
import { calicoVersion, kindRow } from '../../model/kinds.ts';
import { isPolicyKind } from '../../model/policy-value.ts';
import type { Metadata, Resource, ResourceKind } from '../../model/types.ts';

const metadataAnnotation = 'projectcalico.org/metadata';

/** Policies of the tier `default` are stored under `default.NAME`, and called NAME. */
const defaultTierPrefix = 'default.';

export function fromCrdV1(kind: ResourceKind, stored: Resource): Resource {
  const { annotations, labels, ...metadata } = stored.metadata;
  const { [metadataAnnotation]: kept, ...others } = isObject(annotations) ? annotations : {};
  const own = keptMetadata(kept);
  return {
    ...stored,
    apiVersion: calicoVersion,
    kind: kindRow(kind).writtenKind,
    metadata: {
      ...metadata,
      name: nameOf(kind, stored),
      ...merged('annotations', others, own.annotations),
      ...merged('labels', isObject(labels) ? labels : {}, own.labels),
    },
  };
}

function nameOf(kind: ResourceKind, stored: Resource): string {
  const { name } = stored.metadata;
  const tier = textAt(stored, 'spec', 'tier') || 'default';
  const isPrefixed = isPolicyKind(kind) && tier === 'default' && name.startsWith(defaultTierPrefix);
  return isPrefixed ? name.slice(defaultTierPrefix.length) : name;
}

function merged(
  field: 'labels' | 'annotations',
  stored: { readonly [key: string]: unknown },
  kept: unknown,
): Partial<Metadata> {
  const all = { ...stored, ...(isObject(kept) ? kept : {}) };
  return Object.keys(all).length === 0 ? {} : { [field]: all };
}

function keptMetadata(text: string | undefined): { readonly [field: string]: unknown } {
  try {
    const kept: unknown = JSON.parse(text ?? '{}');
    return isObject(kept) ? kept : {};
  } catch {
    return {}; // not written by Calico: the object stands by itself
  }
}
