// SPDX-License-Identifier: Apache-2.0
/**
 * The shape of a kind as plain data: Kubernetes' structural OpenAPI v3, as its CustomResourceDefinitions carry it.
 *
 * Owns:       one constant for each kind, and the fragments that they share; catalogue.ts lists them by kind.
 * Takes in:   nothing.
 * Gives out:  what validation checks, what is filled in where nothing is written, and what CRD manifests print.
 * Invariants: JSON alone, no functions. The constraints are those of Calico's published CRDs (api/config/crd) and of
 *             network-policy-api, in words of our own; docs/validation.md lists where they differ and why. Names of
 *             formats that Kubernetes does not know stand for the checks that Calico has only in Go, and are dropped
 *             from manifests.
 * Next:       ../validate/structural.ts compiles them.
 */
import type { Json } from '../types.ts';

export interface Schema {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';
  readonly properties?: { readonly [name: string]: Schema };
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly enum?: readonly (string | number)[];
  /** RE2's syntax, linear in JavaScript too: ../validate/pattern.ts. */
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly format?: PublishedFormat | OwnFormat;
  readonly default?: Json;
  readonly nullable?: true;
  readonly 'x-kubernetes-int-or-string'?: true;
  readonly 'x-kubernetes-list-type'?: 'set' | 'map' | 'atomic';
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-map-type'?: 'atomic';
  readonly 'x-kubernetes-preserve-unknown-fields'?: true;
  readonly 'x-kubernetes-validations'?: readonly Rule[];
}

export interface Rule {
  /** CEL. */
  readonly rule: string;
  /** Read on from "got …, " when it begins with "want". */
  readonly message: string;
  /** Below the node that carries the rule: `.spec.order`. */
  readonly fieldPath?: string;
  readonly reason?:
    | 'FieldValueInvalid'
    | 'FieldValueForbidden'
    | 'FieldValueRequired'
    | 'FieldValueDuplicate';
}

/** What an API server checks by itself. */
export type PublishedFormat = 'int32' | 'int64' | 'cidr' | 'date-time';

/** Checks of single values that Calico has only in Go; ../validate/formats.ts has them. */
export type OwnFormat =
  | 'selector'
  | 'rule-namespace-selector'
  | 'protocol'
  | 'protocol-with-ports'
  | 'rule-port'
  | 'port-range'
  | 'pod-port'
  | 'port-name'
  | 'net'
  | 'negated-net'
  | 'any-net'
  | 'ipv4-net'
  | 'masked-cidr'
  | 'ipv4-cidr'
  | 'ipv6-cidr'
  | 'ipv4-interface'
  | 'ipv6-interface'
  | 'ip'
  | 'ipv4'
  | 'ipv6'
  | 'peer-address'
  | 'host'
  | 'dns-name'
  | 'dns-label'
  | 'labels'
  | 'label-key'
  | 'label-value'
  | 'annotations'
  | 'inherited-labels'
  | 'interface'
  | 'interface-or-any'
  | 'interface-pattern'
  | 'interface-filter'
  | 'http-method'
  | 'regex'
  | 'duration'
  | 'as-number'
  | 'community'
  | 'dscp'
  | 'mac'
  | 'wireguard-key';
