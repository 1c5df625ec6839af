// SPDX-License-Identifier: Apache-2.0
/** IPPool: addresses for workloads, tunnels or services. */
import { conditions, flag, object, oneOf, resource, selector, setOf } from './fragments.ts';
import type { Rule, Schema } from './schema.ts';

const encapsulation = oneOf('Never', 'Always', 'CrossSubnet');

const family = 'cidr(self.cidr).ip().family()';
const forServices = "has(self.allowedUses) && self.allowedUses.exists(use, use == 'LoadBalancer')";
const isUnset = (field: string) => `!has(self.${field}) || self.${field} == 'Never'`;

/** 0 stands for the default. */
function blockSizes(of: 4 | 6, least: number, most: number): Rule {
  return {
    rule: `!has(self.blockSize) || self.blockSize == 0 || ${family} != ${of} || (self.blockSize >= ${least} && self.blockSize <= ${most})`,
    message: `want an integer from ${least} to ${most} in an IPv${of} pool`,
    fieldPath: '.blockSize',
    reason: 'FieldValueInvalid',
  };
}

function notForServices(condition: string, fieldPath: string, message: string): Rule {
  return { rule: `!(${forServices}) || ${condition}`, message, fieldPath, reason: 'FieldValueForbidden' };
}

const rules: readonly Rule[] = [
  blockSizes(4, 20, 32),
  blockSizes(6, 116, 128),
  {
    rule: `(has(self.disabled) && self.disabled) || cidr(self.cidr).prefixLength() <= (has(self.blockSize) && self.blockSize != 0 ? self.blockSize : (${family} == 4 ? 26 : 122))`,
    message: 'want a prefix that is no longer than blockSize: the pool is smaller than one block',
    fieldPath: '.cidr',
    reason: 'FieldValueInvalid',
  },
  {
    rule: `${isUnset('ipipMode')} || ${isUnset('vxlanMode')}`,
    message: 'got VXLAN and IPIP, want at most one encapsulation',
    fieldPath: '.vxlanMode',
    reason: 'FieldValueForbidden',
  },
  {
    rule: `${isUnset('ipipMode')} || ${family} == 4`,
    message: 'want Never: IPIP carries IPv4 only',
    fieldPath: '.ipipMode',
    reason: 'FieldValueForbidden',
  },
  {
    rule: "!has(self.allowedUses) || !self.allowedUses.exists(use, use == 'Tunnel') || !has(self.namespaceSelector) || size(self.namespaceSelector) == 0",
    message: 'want none: tunnels belong to no namespace',
    fieldPath: '.namespaceSelector',
    reason: 'FieldValueForbidden',
  },
  notForServices(
    'size(self.allowedUses) == 1',
    '.allowedUses',
    'got other uses beside LoadBalancer, want it alone',
  ),
  notForServices(`(${isUnset('ipipMode')})`, '.ipipMode', 'want Never with LoadBalancer'),
  notForServices(`(${isUnset('vxlanMode')})`, '.vxlanMode', 'want Never with LoadBalancer'),
  notForServices(
    '!has(self.disableBGPExport) || !self.disableBGPExport',
    '.disableBGPExport',
    'want false with LoadBalancer',
  ),
  notForServices(
    "!has(self.nodeSelector) || self.nodeSelector == '' || self.nodeSelector == 'all()'",
    '.nodeSelector',
    'want "all()" with LoadBalancer',
  ),
];

/** RFC 3927, RFC 4291 section 2.5.6. */
function apartFrom(range: string): Rule {
  return {
    rule: `!isCIDR(self) || (!cidr('${range}').containsIP(cidr(self).ip()) && !cidr(self).containsIP(cidr('${range}').ip()))`,
    message: `want a CIDR apart from link-local ${range}`,
    reason: 'FieldValueInvalid',
  };
}

function immutable(what: string): Rule {
  return {
    rule: 'self == oldSelf',
    message: `want ${what} that the pool was made with: delete it and make another`,
    reason: 'FieldValueInvalid',
  };
}

export const ipPool: Schema = resource(
  object(
    {
      cidr: {
        type: 'string',
        format: 'masked-cidr',
        'x-kubernetes-validations': [
          apartFrom('169.254.0.0/16'),
          apartFrom('fe80::/10'),
          immutable('the CIDR'),
        ],
      },
      ipipMode: encapsulation,
      vxlanMode: encapsulation,
      natOutgoing: flag,
      disabled: flag,
      disableBGPExport: flag,
      blockSize: {
        type: 'integer',
        minimum: 0,
        maximum: 128,
        'x-kubernetes-validations': [immutable('the size')],
      },
      nodeSelector: selector,
      namespaceSelector: selector,
      allowedUses: setOf(oneOf('Workload', 'Tunnel', 'LoadBalancer'), {
        'x-kubernetes-validations': [
          {
            rule: "self.exists(use, use == 'LoadBalancer') == oldSelf.exists(use, use == 'LoadBalancer')",
            message:
              'got LoadBalancer come or gone, want it as the pool was made: addresses were given out for it',
            reason: 'FieldValueForbidden',
          },
        ],
      }),
      assignmentMode: { ...oneOf('Automatic', 'Manual'), default: 'Automatic' },
    },
    { required: ['cidr'], 'x-kubernetes-validations': rules },
  ),
  { required: ['spec'], status: conditions },
);
