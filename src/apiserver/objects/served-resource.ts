// SPDX-License-Identifier: Apache-2.0
/**
 * What the server knows of one resource that it serves, built in or custom: the seam between the requests (../) and the
 * rules for objects (here).
 *
 * Owns:       the rules of every kind; how objects are read, patched, applied, checked and shown.
 * Takes in:   objects as JSON, and through RequestContext what a rule needs of the world: clock, random names, other objects.
 * Gives out:  new objects, warnings, and ApiError with the causes that a real server would tell.
 * Invariants: pure. What comes from a client has passed decode.ts; what a patch made passes it again. Nothing here knows
 *             of revisions, storage or who asks.
 * Next:       builtin.ts lists the kinds, custom-resources.ts makes them of definitions; decode.ts, patch.ts, apply.ts and
 *             table.ts are what requests call.
 */
import type { JsonObject } from '../../model/types.ts';
import type { Cause } from './api-error.ts';
import type { ApiObject } from './object.ts';

export interface ServedResource {
  /** '' is the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly listKind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  /** As discovery lists them, in its order. */
  readonly verbs: readonly string[];
  /** Beside the resource itself: `status`, `scale`, `binding`, `token`... */
  readonly subresources: readonly Subresource[];
  /** A custom resource: see "Surprises" in the transcripts' README for what that changes. */
  readonly custom: boolean;
  /** Of the whole object: pruning, strict decoding, defaults, server-side apply's list keys, OpenAPI. */
  readonly schema: OpenApiSchema;
  readonly columns: readonly TableColumn[];
  readonly rules: ResourceRules;
}

export interface Subresource {
  readonly name: string;
  /** Of what it takes, where that is not the resource's own kind: `policy/v1 Eviction`. */
  readonly group?: string;
  readonly version?: string;
  readonly kind?: string;
  readonly verbs: readonly string[];
}

/** An OpenAPI v3 schema with Kubernetes' extensions (`x-kubernetes-*`), as JSON. */
export type OpenApiSchema = JsonObject;

export interface RequestContext {
  readonly now: Date;
  readonly newUid: () => string;
  /** `length` characters of those that generateName uses. */
  readonly newSuffix: (length: number) => string;
  /** Other objects that a rule reads: cluster IPs in use, the namespace of a pod. null: there is none. */
  readonly lookup: (group: string, plural: string, namespace: string, name: string) => ApiObject | null;
  readonly list: (group: string, plural: string) => readonly ApiObject[];
  /** Where Services get their addresses and ports; the first address of a range is the server's own Service's. */
  readonly services: {
    /** `10.96.0.0/16`, and for a dual-stack cluster one of the other family after it. */
    readonly ranges: readonly string[];
    readonly nodePorts: { readonly first: number; readonly last: number };
  };
}

/** `main`: the object itself; else the name of the subresource that is written. */
export type WriteTarget = 'main' | 'status' | (string & {});

/** What differs between kinds. Metadata that all kinds share (uid, times, generation's default) is the requests' part. */
export interface ResourceRules {
  /** Fills in what the author left out (and drops what a custom kind does not have); also for objects read from the store (a definition may have new defaults). */
  fillIn(object: ApiObject): ApiObject;
  /** Fields that a client may not set at birth are dropped, those the server gives are given (cluster IP, taints). */
  prepareForCreate(object: ApiObject, context: RequestContext): ApiObject;
  /** Keeps what `target` may not change (status against spec), and raises generation where the kind does. */
  prepareForUpdate(
    next: ApiObject,
    previous: ApiObject,
    target: WriteTarget,
    context: RequestContext,
  ): ApiObject;
  validateCreate(object: ApiObject, context: RequestContext): readonly Cause[];
  validateUpdate(
    next: ApiObject,
    previous: ApiObject,
    target: WriteTarget,
    context: RequestContext,
  ): readonly Cause[];
  /** Said in Warning headers of the answer to a write. */
  warnings(object: ApiObject): readonly string[];
  /** Labels that a field selector may name, with this object's values; metadata.name and namespace are everyone's. */
  selectableFields(object: ApiObject): Readonly<Record<string, string>>;
  /** Those names, also when no object is there; null: any field path is refused but metadata's. */
  readonly selectableFieldNames: readonly string[] | null;
  /** PUT without resourceVersion: overwrites, or is refused with 422. */
  readonly unconditionalUpdate: boolean;
  /** PUT to a name that does not exist makes it. */
  readonly createOnUpdate: boolean;
  /** Deletion waits this long for whoever runs it (pods); 0: at once. */
  gracePeriodSeconds(object: ApiObject): number;
  /** What DELETE answers when the object is gone at once. */
  readonly deleteAnswers: 'status' | 'object';
}

export interface TableColumn {
  readonly name: string;
  readonly type: string;
  readonly format: string;
  readonly description: string;
  /** 0 is always shown; more only with `-o wide`. */
  readonly priority: number;
  /** A cell: string, number, boolean or null. `now` for ages. */
  readonly cell: (object: ApiObject, now: Date) => string | number | boolean | null;
}
