// SPDX-License-Identifier: Apache-2.0
/**
 * A Status in Kubernetes' protobuf: the one thing that is written so, since clients that prefer protobuf are refused in it
 * (k8s.io/apimachinery: pkg/runtime/generated.proto Unknown, pkg/apis/meta/v1/generated.proto Status).
 */
import { memberAt, textAt } from '../model/json.ts';
import type { JsonObject } from '../model/types.ts';

/** Before every message: how readers know it. */
const magic = Buffer.from('k8s\0', 'latin1');

export function protobufStatus(status: JsonObject): Buffer {
  const type = Buffer.concat([text(1, 'v1'), text(2, 'Status')]);
  return Buffer.concat([magic, bytes(1, type), bytes(2, fieldsOf(status)), text(3, ''), text(4, '')]);
}

function fieldsOf(status: JsonObject): Buffer {
  const token = textAt(status, 'metadata', 'continue');
  const metadata = Buffer.concat([text(1, ''), text(2, ''), text(3, token)]);
  const details = memberAt(status, 'details');
  return Buffer.concat([
    bytes(1, metadata),
    text(2, textAt(status, 'status')),
    text(3, textAt(status, 'message')),
    text(4, textAt(status, 'reason')),
    ...(details === undefined ? [] : [bytes(5, detailsOf(details))]),
    number(6, Number(memberAt(status, 'code') ?? 0)),
  ]);
}

function detailsOf(details: unknown): Buffer {
  const causes = memberAt(details, 'causes');
  return Buffer.concat([
    text(1, textAt(details, 'name')),
    text(2, textAt(details, 'group')),
    text(3, textAt(details, 'kind')),
    ...(Array.isArray(causes) ? causes.map((cause: unknown) => bytes(4, causeOf(cause))) : []),
    number(5, Number(memberAt(details, 'retryAfterSeconds') ?? 0)),
    text(6, textAt(details, 'uid')),
  ]);
}

function causeOf(cause: unknown): Buffer {
  return Buffer.concat([
    text(1, textAt(cause, 'reason')),
    text(2, textAt(cause, 'message')),
    text(3, textAt(cause, 'field')),
  ]);
}

/** Field numbers are small: every tag is one byte. */
function bytes(field: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(field << 3) | 2]), varint(value.length), value]);
}

function text(field: number, value: string): Buffer {
  return bytes(field, Buffer.from(value));
}

function number(field: number, value: number): Buffer {
  return Buffer.concat([Buffer.from([field << 3]), varint(value)]);
}

function varint(value: number): Buffer {
  const out: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) out.push((rest & 0x7f) | 0x80);
  return Buffer.from([...out, rest]);
}
