// SPDX-License-Identifier: Apache-2.0
/** The parameters of requests (metav1.CreateOptions, PatchOptions, ListOptions...), checked as the API checks them. */
import type { Cause } from './objects/api-error.ts';
import { forbidden, invalid, notSupported, refusal, required, tooLong } from './objects/causes.ts';
import type { FieldValidation } from './objects/decode.ts';
import { flagOf } from './request-path.ts';
import { badRequest } from './status.ts';

const metaGroup = 'meta.k8s.io';

export interface WriteOptions {
  readonly dryRun: boolean;
  readonly fieldManager: string;
  readonly fieldValidation: FieldValidation;
}

type OptionsKind = 'CreateOptions' | 'UpdateOptions' | 'PatchOptions';

interface Asking {
  readonly query: URLSearchParams;
  readonly headers: { readonly [name: string]: string | undefined };
}

/** @throws {ApiError} 422 */
export function writeOptions(kind: OptionsKind, { query, headers }: Asking): WriteOptions {
  const validation = query.get('fieldValidation') ?? '';
  const manager = query.get('fieldManager') ?? '';
  const causes = [
    ...dryRunCauses(query.getAll('dryRun')),
    ...managerCauses(manager),
    ...(isValidation(validation) ? [] : [unknownValidation(validation)]),
  ];
  if (causes.length > 0) throw refusal({ kind, group: metaGroup }, '', causes);
  return {
    dryRun: query.getAll('dryRun').length > 0,
    fieldManager: manager === '' ? managerOf(headers['user-agent']) : manager,
    fieldValidation: isValidation(validation) && validation !== '' ? validation : 'Warn',
  };
}

export interface ApplyOptions extends WriteOptions {
  readonly force: boolean;
}

/** @throws {ApiError} 422 */
export function patchOptions(asking: Asking, isApply: boolean): ApplyOptions {
  const options = writeOptions('PatchOptions', asking);
  const { query } = asking;
  const causes: Cause[] = [];
  if (isApply && (query.get('fieldManager') ?? '') === '') {
    causes.push(required('fieldManager', 'is required for apply patch'));
  }
  if (!isApply && query.has('force')) {
    causes.push(forbidden('force', 'may not be specified for non-apply patch'));
  }
  if (causes.length > 0) throw refusal({ kind: 'PatchOptions', group: metaGroup }, '', causes);
  return { ...options, force: flagOf(query, 'force') };
}

export function dryRunCauses(values: readonly string[]): readonly Cause[] {
  if (values.every((value) => value === 'All')) return [];
  return [notSupported('dryRun', values, ['All'])];
}

function managerCauses(manager: string): readonly Cause[] {
  if (Buffer.byteLength(manager) > 128) return [tooLong('fieldManager', 128)];
  if (!/[^\P{C}]/u.test(manager)) return [];
  return [invalid('fieldManager', manager, 'should only contain printable characters')];
}

function isValidation(value: string): value is FieldValidation | '' {
  return ['', 'Ignore', 'Strict', 'Warn'].includes(value);
}

function unknownValidation(value: string): Cause {
  return notSupported('fieldValidation', value, ['', 'Ignore', 'Strict', 'Warn']);
}

function managerOf(agent = ''): string {
  const name = agent.split('/')[0] ?? '';
  return name === '' ? 'unknown' : name.slice(0, 128);
}

// ---- lists and watches -----------------------------------------------------------------------------------------------

export interface ListOptions {
  readonly labelSelector: string;
  readonly fieldSelector: string;
  readonly resourceVersion: string;
  readonly resourceVersionMatch: string;
  /** 0: no limit. */
  readonly limit: number;
  readonly continue: string;
  readonly allowWatchBookmarks: boolean;
  readonly sendInitialEvents: boolean | null;
  /** null: the server's own. */
  readonly timeoutSeconds: number | null;
}

/** @throws {ApiError} 400, 422 */
export function listOptions(query: URLSearchParams, isWatch: boolean): ListOptions {
  const options: ListOptions = {
    labelSelector: query.get('labelSelector') ?? '',
    fieldSelector: query.get('fieldSelector') ?? '',
    resourceVersion: query.get('resourceVersion') ?? '',
    resourceVersionMatch: query.get('resourceVersionMatch') ?? '',
    limit: Math.max(0, integer(query.get('limit')) ?? 0),
    continue: query.get('continue') ?? '',
    allowWatchBookmarks: flagOf(query, 'allowWatchBookmarks'),
    sendInitialEvents: query.has('sendInitialEvents') ? flagOf(query, 'sendInitialEvents') : null,
    timeoutSeconds: integer(query.get('timeoutSeconds')),
  };
  const causes = isWatch ? watchCauses(options) : listCauses(options);
  if (causes.length > 0) throw refusal({ kind: 'ListOptions', group: metaGroup }, '', causes);
  return options;
}

function listCauses({ resourceVersion, ...options }: ListOptions): readonly Cause[] {
  const match = options.resourceVersionMatch;
  const causes: Cause[] = [];
  if (match !== '') {
    if (resourceVersion === '')
      causes.push(matchForbidden('resourceVersionMatch is forbidden unless resourceVersion is provided'));
    if (options.continue !== '') causes.push(matchForbidden(forbiddenWithContinue));
    if (match !== 'Exact' && match !== 'NotOlderThan')
      causes.push(unknownMatch(match, ['Exact', 'NotOlderThan', '']));
    if (match === 'Exact' && resourceVersion === '0')
      causes.push(matchForbidden('resourceVersionMatch "exact" is forbidden for resourceVersion "0"'));
  }
  if (options.sendInitialEvents !== null) {
    causes.push(forbidden('sendInitialEvents', 'sendInitialEvents is forbidden for list'));
  }
  return causes;
}

const forbiddenWithContinue = 'resourceVersionMatch is forbidden when continue is provided';

function watchCauses(options: ListOptions): readonly Cause[] {
  const match = options.resourceVersionMatch;
  const causes: Cause[] = [];
  if (options.sendInitialEvents !== null && match !== 'NotOlderThan')
    causes.push(matchForbidden('sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'));
  if (match !== '' && options.sendInitialEvents === null)
    causes.push(
      matchForbidden('resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided'),
    );
  if (match !== '' && match !== 'NotOlderThan') causes.push(unknownMatch(match, ['NotOlderThan']));
  if (options.continue !== '') causes.push(matchForbidden(forbiddenWithContinue));
  return causes;
}

function matchForbidden(why: string): Cause {
  return forbidden('resourceVersionMatch', why);
}

function unknownMatch(match: string, known: readonly string[]): Cause {
  return notSupported('resourceVersionMatch', match, known);
}

/** @throws {ApiError} 400 */
function integer(value: string | null): number | null {
  if (value === null || value === '') return null;
  if (/^[+-]?\d{1,18}$/.test(value)) return Number(value);
  throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(value)}: invalid syntax`);
}

/** null: no such number. */
export function revisionOf(text: string): number | null {
  if (text === '') return 0;
  return /^\d{1,15}$/.test(text) ? Number(text) : null;
}
