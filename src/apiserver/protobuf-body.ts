// SPDX-License-Identifier: Apache-2.0
/**
 * Bodies in Kubernetes' protobuf, of the kinds that kubectl sends so (`create namespace`, `auth can-i`, `create token`).
 * All others are sent as JSON, or refused: answers are JSON in any case, which every client that sends protobuf reads.
 *
 * Numbers from k8s.io/api: core/v1, authentication/v1, authorization/v1, policy/v1, rbac/v1 generated.proto, and
 * k8s.io/apimachinery pkg/apis/meta/v1 and pkg/runtime generated.proto.
 */
import type { Json, JsonObject } from '../model/types.ts';
import { ApiError } from './objects/api-error.ts';

/** How a field is read: scalars by name, messages by their fields; `[...]` repeats, `map` is from texts. */
type FieldType =
  | 'text'
  | 'bytes'
  | 'number'
  | 'flag'
  | 'time'
  | Message
  | readonly ['list' | 'map', FieldType];

interface Message {
  readonly [number: number]: readonly [name: string, type: FieldType];
}

const texts = ['list', 'text'] as const;
const textMap = ['map', 'text'] as const;

const ownerReference: Message = {
  1: ['kind', 'text'],
  3: ['name', 'text'],
  4: ['uid', 'text'],
  5: ['apiVersion', 'text'],
  6: ['controller', 'flag'],
  7: ['blockOwnerDeletion', 'flag'],
};

const objectMeta: Message = {
  1: ['name', 'text'],
  2: ['generateName', 'text'],
  3: ['namespace', 'text'],
  5: ['uid', 'text'],
  6: ['resourceVersion', 'text'],
  7: ['generation', 'number'],
  8: ['creationTimestamp', 'time'],
  11: ['labels', textMap],
  12: ['annotations', textMap],
  13: ['ownerReferences', ['list', ownerReference]],
  14: ['finalizers', texts],
};

const objectReference: Message = {
  1: ['kind', 'text'],
  2: ['namespace', 'text'],
  3: ['name', 'text'],
  4: ['uid', 'text'],
  5: ['apiVersion', 'text'],
  6: ['resourceVersion', 'text'],
  7: ['fieldPath', 'text'],
};

const deleteOptions: Message = {
  1: ['gracePeriodSeconds', 'number'],
  2: ['preconditions', { 1: ['uid', 'text'], 2: ['resourceVersion', 'text'] }],
  3: ['orphanDependents', 'flag'],
  4: ['propagationPolicy', 'text'],
  5: ['dryRun', texts],
};

const resourceAttributes: Message = {
  1: ['namespace', 'text'],
  2: ['verb', 'text'],
  3: ['group', 'text'],
  4: ['version', 'text'],
  5: ['resource', 'text'],
  6: ['subresource', 'text'],
  7: ['name', 'text'],
};

const accessSpec: Message = {
  1: ['resourceAttributes', resourceAttributes],
  2: ['nonResourceAttributes', { 1: ['path', 'text'], 2: ['verb', 'text'] }],
  3: ['user', 'text'],
  4: ['groups', texts],
};

const rule: Message = {
  1: ['verbs', texts],
  2: ['apiGroups', texts],
  3: ['resources', texts],
  4: ['resourceNames', texts],
  5: ['nonResourceURLs', texts],
};

const subject: Message = {
  1: ['kind', 'text'],
  2: ['apiGroup', 'text'],
  3: ['name', 'text'],
  4: ['namespace', 'text'],
};

const labelSelector: Message = {
  1: ['matchLabels', textMap],
  2: ['matchExpressions', ['list', { 1: ['key', 'text'], 2: ['operator', 'text'], 3: ['values', texts] }]],
};

const metadata = ['metadata', objectMeta] as const;

const binding: Message = {
  1: metadata,
  2: ['subjects', ['list', subject]],
  3: ['roleRef', { 1: ['apiGroup', 'text'], 2: ['kind', 'text'], 3: ['name', 'text'] }],
};

const kinds: { readonly [kind: string]: Message } = {
  Namespace: { 1: metadata, 2: ['spec', { 1: ['finalizers', texts] }] },
  ConfigMap: {
    1: metadata,
    2: ['data', textMap],
    3: ['binaryData', ['map', 'bytes']],
    4: ['immutable', 'flag'],
  },
  Secret: {
    1: metadata,
    2: ['data', ['map', 'bytes']],
    3: ['type', 'text'],
    4: ['stringData', textMap],
    5: ['immutable', 'flag'],
  },
  ServiceAccount: { 1: metadata, 4: ['automountServiceAccountToken', 'flag'] },
  TokenRequest: {
    1: metadata,
    2: [
      'spec',
      {
        1: ['audiences', texts],
        3: ['boundObjectRef', boundReference()],
        4: ['expirationSeconds', 'number'],
      },
    ],
  },
  TokenReview: { 1: metadata, 2: ['spec', { 1: ['token', 'text'], 2: ['audiences', texts] }] },
  SelfSubjectReview: { 1: metadata },
  SelfSubjectAccessReview: { 1: metadata, 2: ['spec', accessSpec] },
  SubjectAccessReview: { 1: metadata, 2: ['spec', accessSpec] },
  LocalSubjectAccessReview: { 1: metadata, 2: ['spec', accessSpec] },
  SelfSubjectRulesReview: { 1: metadata, 2: ['spec', { 1: ['namespace', 'text'] }] },
  Role: { 1: metadata, 2: ['rules', ['list', rule]] },
  ClusterRole: {
    1: metadata,
    2: ['rules', ['list', rule]],
    3: ['aggregationRule', { 1: ['clusterRoleSelectors', ['list', labelSelector]] }],
  },
  RoleBinding: binding,
  ClusterRoleBinding: binding,
  Binding: { 1: metadata, 2: ['target', objectReference] },
  Eviction: { 1: metadata, 2: ['deleteOptions', deleteOptions] },
  DeleteOptions: deleteOptions,
};

function boundReference(): Message {
  return { 1: ['kind', 'text'], 2: ['apiVersion', 'text'], 3: ['name', 'text'], 4: ['uid', 'text'] };
}

const envelope: Message = {
  1: ['typeMeta', { 1: ['apiVersion', 'text'], 2: ['kind', 'text'] }],
  2: ['raw', 'bytes'],
};

const magic = 'k8s\0';

/** @throws {ApiError} 400 for what is no such message, 415 for kinds that are not read so */
export function protobufBody(body: Buffer): JsonObject {
  if (body.toString('latin1', 0, magic.length) !== magic)
    throw new ApiError(
      400,
      'BadRequest',
      "cannot read the body as protobuf: want it to begin with 'k8s' and a zero byte",
    );
  const { typeMeta = {}, raw = '' } = messageOf(body.subarray(magic.length), envelope);
  const { apiVersion = '', kind = '' } = typeMeta as { readonly apiVersion?: string; readonly kind?: string };
  const fields = Object.hasOwn(kinds, kind) ? kinds[kind] : undefined;
  if (fields) return { apiVersion, kind, ...messageOf(Buffer.from(String(raw), 'base64'), fields) };
  const known = Object.keys(kinds).join(', ');
  const message = `cannot read a ${kind} as protobuf: want application/json, or one of ${known}`;
  throw new ApiError(415, 'UnsupportedMediaType', message);
}

function messageOf(bytes: Buffer, fields: Message): JsonObject {
  const found: { [name: string]: Json } = {};
  const reader = new Reader(bytes);
  while (reader.hasMore) {
    const { number, value } = reader.field();
    const known = fields[number];
    if (known) found[known[0]] = joined(found[known[0]], known[1], value);
  }
  return found;
}

/** What repeats is gathered; of all else the last one stands. */
function joined(before: Json | undefined, type: FieldType, value: Buffer | number): Json {
  if (!isRepeated(type)) return scalarOf(type, value);
  if (type[0] === 'list') return [...((before ?? []) as readonly Json[]), scalarOf(type[1], value)];
  const entry = messageOf(bufferOf(value), { 1: ['key', 'text'], 2: ['value', type[1]] });
  return { ...((before ?? {}) as JsonObject), [String(entry.key ?? '')]: entry.value ?? '' };
}

function isRepeated(type: FieldType): type is readonly ['list' | 'map', FieldType] {
  return Array.isArray(type);
}

function scalarOf(type: FieldType, value: Buffer | number): Json {
  switch (type) {
    case 'text':
      return bufferOf(value).toString('utf8');
    case 'bytes':
      return bufferOf(value).toString('base64');
    case 'number':
      return typeof value === 'number' ? value : 0;
    case 'flag':
      return value === 1;
    case 'time':
      return timeOf(bufferOf(value));
    default:
      return isRepeated(type) ? joined(undefined, type, value) : messageOf(bufferOf(value), type);
  }
}

/** A zero time is none. */
function timeOf(bytes: Buffer): Json {
  const { seconds = 0 } = messageOf(bytes, { 1: ['seconds', 'number'] });
  return typeof seconds === 'number' && seconds > 0 ? new Date(seconds * 1000).toISOString() : null;
}

function bufferOf(value: Buffer | number): Buffer {
  return typeof value === 'number' ? Buffer.alloc(0) : value;
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get hasMore(): boolean {
    return this.#at < this.#bytes.length;
  }

  field(): { readonly number: number; readonly value: Buffer | number } {
    const tag = this.#varint();
    const number = Math.floor(tag / 8);
    switch (tag % 8) {
      case 0:
        return { number, value: this.#varint() };
      case 1:
        return { number, value: this.#take(8) };
      case 2:
        return { number, value: this.#take(this.#varint()) };
      case 5:
        return { number, value: this.#take(4) };
      default:
        throw new ApiError(400, 'BadRequest', `cannot read the body as protobuf: got wire type ${tag % 8}`);
    }
  }

  #take(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw cutShort();
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  #varint(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 64; scale *= 128) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw cutShort();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value >= 2 ** 63 ? value - 2 ** 64 : value;
    }
    throw new ApiError(
      400,
      'BadRequest',
      'cannot read the body as protobuf: got a number of more than 64 bits',
    );
  }
}

function cutShort(): ApiError {
  return new ApiError(400, 'BadRequest', 'cannot read the body as protobuf: it ends within a field');
}
