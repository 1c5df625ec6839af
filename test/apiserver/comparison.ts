// SPDX-License-Identifier: Apache-2.0
/** The rules of "Comparing" in test/data/k8s-transcripts/README.md: what of an answer must be as recorded. */
import { parse } from 'yaml';
import type { Json, JsonObject } from '../../src/model/types.ts';
import { arranged, reduced } from './arranged.ts';
import { Bindings, differences, isObject } from './resemblance.ts';
import type { Recorded, RequestStep } from './transcript.ts';

export interface Answered {
  readonly status: number;
  readonly headers: { readonly [name: string]: string | undefined };
  readonly text: string;
  readonly events?: readonly JsonObject[];
  readonly closedBy?: 'server' | 'client';
}

export class Comparison {
  readonly #bindings = new Bindings();
  readonly #keepManagedFields: boolean;
  /** Of the last write to a kind that was answered with the object. */
  readonly #written = new Map<string, number>();
  /** Revision of the first page, by the token of the next. */
  readonly #pages = new Map<string, string>();

  constructor(keepManagedFields: boolean) {
    this.#keepManagedFields = keepManagedFields;
  }

  /** What differs, as sentences. */
  of(step: Partial<RequestStep>, wanted: Recorded, found: Answered): readonly string[] {
    return [
      ...(wanted.status === found.status
        ? []
        : [`status: want ${wanted.status}, got ${found.status}: ${found.text.slice(0, 400)}`]),
      ...headerDifferences(wanted.headers ?? {}, found.headers),
      ...this.#content(step, wanted, found),
    ];
  }

  #content(step: Partial<RequestStep>, wanted: Recorded, found: Answered): readonly string[] {
    if (wanted.events) return this.#events(wanted, found);
    if (wanted.body !== undefined) return this.#body(step, wanted.body, jsonOf(found.text), found);
    if (wanted.headers?.['content-type'] === 'application/yaml')
      return this.#body(step, parse(wanted.text ?? '') as Json, parse(found.text) as Json, found);
    const text = found.text.trim();
    return text === wanted.text ? [] : [`text: want ${wanted.text}, got ${text}`];
  }

  #body(step: Partial<RequestStep>, wanted: Json, answered: Json, found: Answered): readonly string[] {
    const actual = arranged(reduced(answered, step), this.#keepManagedFields);
    if (isFailure(wanted)) return this.#failure(wanted, actual);
    const faults = [
      ...differences(this.#bindings, arranged(wanted, this.#keepManagedFields), actual, looseIn(wanted)),
      ...this.#listRevision(step, actual),
    ];
    if (step.method !== 'GET' && found.status < 300) this.#note(actual);
    return faults;
  }

  #events(wanted: Recorded, found: Answered): readonly string[] {
    const events = (found.events ?? []).map((event) => arranged(event, this.#keepManagedFields));
    const recorded = arranged(wanted.events ?? [], this.#keepManagedFields) as readonly Json[];
    const closing =
      wanted.closedBy === 'server' && found.closedBy !== 'server'
        ? ['want the server to close the stream']
        : [];
    if (events.length !== recorded.length)
      return [
        ...closing,
        `want ${recorded.length} events, got ${events.length}: ${JSON.stringify(events).slice(0, 600)}`,
      ];
    return [
      ...closing,
      ...recorded.flatMap((event, index) => this.#event(event, events[index] ?? null, index)),
    ];
  }

  #event(wanted: Json, found: Json, index: number): readonly string[] {
    const object = isObject(wanted) ? (wanted.object ?? null) : null;
    const foundObject = isObject(found) ? (found.object ?? null) : null;
    if (isFailure(object)) return this.#failure(object, foundObject);
    const isBookmark = isObject(wanted) && wanted.type === 'BOOKMARK';
    const loose = (path: string) => isBookmark && path.endsWith('.metadata.resourceVersion');
    return differences(this.#bindings, wanted, found, loose, `[${index}]`);
  }

  #failure(wanted: JsonObject, found: Json): readonly string[] {
    if (!isObject(found)) return [`want a Status, got ${JSON.stringify(found)}`];
    const message = String(wanted.message ?? '');
    const strict = isReadByClients(wanted);
    const faults = differences(this.#bindings, essence(wanted, strict), essence(found, strict), () => false);
    if (!message.startsWith(tooLarge) || String(found.message).startsWith(tooLarge)) return faults;
    return [...faults, `message: want ${tooLarge}..., got ${String(found.message)}`];
  }

  /** Not below what is in the list, nor below the last write of the kind; one for all pages. */
  #listRevision(step: Partial<RequestStep>, list: Json): readonly string[] {
    if (!isObject(list) || !Array.isArray(list.items) || !isObject(list.metadata)) return [];
    const { resourceVersion, continue: token } = list.metadata;
    if (resourceVersion === undefined) return [];
    const revision = Number(resourceVersion);
    const items = list.items as readonly Json[];
    const least = Math.max(0, ...items.map(revisionOf));
    const written =
      step.query?.resourceVersionMatch || step.query?.continue ? 0 : (this.#written.get(kindOf(list)) ?? 0);
    if (typeof token === 'string' && token !== '') this.#pages.set(token, String(resourceVersion));
    const asked = this.#pages.get(step.query?.continue ?? '');
    return [
      ...(revision >= Math.max(least, written)
        ? []
        : [`list: revision ${revision} is below ${least} or ${written}`]),
      ...(asked === undefined || asked === resourceVersion
        ? []
        : [`list: want the revision of its first page, ${asked}`]),
    ];
  }

  #note(object: Json): void {
    if (!isObject(object) || object.kind === 'Status') return;
    const kind = `${String(object.kind)}List`;
    this.#written.set(kind, Math.max(this.#written.get(kind) ?? 0, revisionOf(object)));
  }
}

const tooLarge = 'Timeout: Too large resource version';

function headerDifferences(
  wanted: { readonly [name: string]: string },
  found: { readonly [name: string]: string | undefined },
): readonly string[] {
  return ['content-type', 'warning', 'retry-after'].flatMap((name) => {
    const plain = (value: string | undefined) => (name === 'content-type' ? parameterless(value) : value);
    const [want, got] = [plain(wanted[name]), plain(found[name])];
    return want === got || (name === 'content-type' && want === undefined)
      ? []
      : [`${name}: want ${want}, got ${got}`];
  });
}

function parameterless(type: string | undefined): string | undefined {
  return type?.split(';')[0]?.trim();
}

function isFailure(value: Json): value is JsonObject {
  return isObject(value) && value.kind === 'Status' && value.status === 'Failure';
}

/** Forbidden, AlreadyExists and 410 are told apart by their messages too. */
function isReadByClients({ reason, code }: JsonObject): boolean {
  return reason === 'Forbidden' || reason === 'AlreadyExists' || code === 410;
}

function essence(status: JsonObject, withMessage: boolean): JsonObject {
  const details = isObject(status.details) ? status.details : {};
  const causes = Array.isArray(details.causes) ? (details.causes as readonly Json[]) : [];
  const known = new Set(
    causes.map((cause) => (isObject(cause) ? JSON.stringify([cause.reason, cause.field ?? null]) : '')),
  );
  const metadata = isObject(status.metadata) ? status.metadata : {};
  return {
    status: status.status ?? null,
    reason: status.reason ?? null,
    code: status.code ?? null,
    name: details.name ?? null,
    group: details.group ?? null,
    kind: details.kind ?? null,
    retryAfterSeconds: details.retryAfterSeconds ?? null,
    causes: [...known].sort(),
    continue: metadata.continue ?? null,
    message: withMessage ? (status.message ?? null) : null,
  };
}

/** The revision of a list, or of a table of one, is not an object's. */
function looseIn(wanted: Json): (path: string) => boolean {
  const isList = isObject(wanted) && (Array.isArray(wanted.items) || isListTable(wanted));
  return (path) => isList && path === '.metadata.resourceVersion';
}

function isListTable(wanted: JsonObject): boolean {
  return wanted.kind === 'Table';
}

function kindOf(list: JsonObject): string {
  return String(list.kind);
}

function revisionOf(object: Json): number {
  const metadata = isObject(object) ? object.metadata : null;
  return isObject(metadata ?? null) ? Number((metadata as JsonObject).resourceVersion ?? 0) : 0;
}

function jsonOf(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}
