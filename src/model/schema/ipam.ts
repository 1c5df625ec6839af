// SPDX-License-Identifier: Apache-2.0
/** What address management keeps: its settings, blocks, handles and affinities. */
import { anyText, enabled, flag, listOf, name, object, oneOf, resource, whole } from './fragments.ts';
import { patterns } from './patterns.ts';
import type { Schema } from './schema.ts';

const cidr: Schema = { type: 'string', format: 'masked-cidr' };

export const ipamConfiguration: Schema = resource(
  object(
    {
      strictAffinity: { ...flag, default: false },
      autoAllocateBlocks: { ...flag, default: true },
      maxBlocksPerHost: { type: 'integer', format: 'int32', minimum: 0, maximum: 1_000_000, default: 0 },
      kubeVirtVMAddressPersistence: enabled,
      ipCooldownSeconds: { type: 'integer', format: 'int32', minimum: 0, maximum: 1200 },
    },
    {
      required: ['strictAffinity', 'autoAllocateBlocks'],
      'x-kubernetes-validations': [
        {
          rule: '!has(self.autoAllocateBlocks) || self.autoAllocateBlocks || (has(self.strictAffinity) && self.strictAffinity)',
          message:
            'want true without autoAllocateBlocks: a node that may not claim blocks would borrow all its addresses',
          fieldPath: '.strictAffinity',
          reason: 'FieldValueInvalid',
        },
      ],
    },
  ),
);

export const blockAffinity: Schema = resource(
  object(
    {
      state: oneOf('', 'pending', 'confirmed', 'pendingDeletion'),
      node: name,
      type: oneOf('', 'host', 'virtual'),
      cidr,
      deleted: { ...flag, default: false },
    },
    { required: ['state', 'node', 'cidr', 'deleted'] },
  ),
  { required: ['spec'] },
);

const attribute: Schema = object({
  handle_id: anyText,
  secondary: { type: 'object', additionalProperties: anyText },
  alternate: { type: 'object', additionalProperties: anyText },
  releasedAt: { type: 'string', format: 'date-time' },
});

export const ipamBlock: Schema = resource(
  object(
    {
      cidr,
      affinity: { type: 'string', pattern: patterns.affinity },
      affinityClaimTime: { type: 'string', format: 'date-time' },
      allocations: listOf({ ...whole, nullable: true }),
      unallocated: listOf(whole),
      attributes: listOf(attribute),
      sequenceNumber: { type: 'integer', format: 'int64', default: 0 },
      sequenceNumberForAllocation: {
        type: 'object',
        additionalProperties: { type: 'integer', format: 'int64' },
      },
      strictAffinity: flag,
      deleted: flag,
    },
    { required: ['cidr', 'allocations', 'unallocated', 'attributes', 'strictAffinity'] },
  ),
  { required: ['spec'] },
);

export const ipamHandle: Schema = resource(
  object(
    { handleID: anyText, block: { type: 'object', additionalProperties: whole }, deleted: flag },
    { required: ['handleID', 'block'] },
  ),
  { required: ['spec'] },
);
