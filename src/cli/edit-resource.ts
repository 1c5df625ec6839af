// SPDX-License-Identifier: Apache-2.0
/**
 * `muslin edit`: an object as YAML in the user's editor, then stored as `replace` stores it.
 *
 * Invariants: what was typed is never lost: until it is stored its file stays, and whoever stops is told where. A text
 *             that is refused is opened again with what is wrong on top of it.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Datastore, Stored } from '../contract/datastore.ts';
import { AppError, InvalidError, UsageError } from '../lib/errors.ts';
import { manifestText } from '../model/manifest/print.ts';
import { originAnnotation, type Resource, type ResourceKey } from '../model/types.ts';
import { refuseFixed, refuseRenamed, withEmptied, withoutStaleOrigin } from './change-resources.ts';
import { untilNodesEnforce, type WaitOptions, waitingTime } from './enforcement.ts';
import { errorText, faultText } from './exit.ts';
import type { Io } from './io.ts';
import { manifestsOf } from './manifests.ts';
import { nameOfKey } from './object-name.ts';
import { parseReferences } from './object-reference.ts';
import { findPlace, openStore, type PlaceOptions } from './place.ts';
import { planWrites, type WritePlan } from './write-plan.ts';
import { presentRow, rowText, writePlanned } from './write-resources.ts';

export interface EditOptions extends PlaceOptions, WaitOptions {
  readonly namespace?: string;
}

/** @throws {UsageError} {NotFoundError} {InvalidError} when the editor fails or what it left is refused twice. */
export async function editResource(words: readonly string[], options: EditOptions, io: Io): Promise<void> {
  const key = keyNamed(words, options);
  const timeoutMs = waitingTime(options);
  const place = await findPlace(options, io);
  await using store = await openStore(place, io, { mayCreate: false });
  const stored = await store.get(key);
  const plan = await edited(store, stored, io);
  if (!plan) return io.note(`${nameOfKey(key)}: nothing was changed`);
  for (const notice of plan.notices) io.note(`note: ${notice}`);
  io.out(
    plan.rows
      .map((row) => rowText(row, 'none', row.outcome === 'unchanged' ? 'unchanged' : 'edited'))
      .join(''),
  );
  const present = plan.rows.flatMap(presentRow);
  await untilNodesEnforce(place, store, { present, deleted: [] }, timeoutMs, io);
}

function keyNamed(words: readonly string[], { namespace = 'default' }: EditOptions): ResourceKey {
  const { keys } = parseReferences(words, namespace);
  const [key] = keys;
  if (!key || keys.length > 1) throw new UsageError('want one object: KIND NAME or KIND/NAME');
  refuseFixed(keys, 'changed');
  return key;
}

/** null: it was left as it was. */
async function edited(store: Datastore, stored: Stored, io: Io): Promise<WritePlan | null> {
  using draft = new Draft(stored, io);
  for (let refusal: AppError | null = null; ; ) {
    const before = draft.body;
    await draft.open(refusal);
    if (draft.body === draft.original || draft.body.trim() === '') return draft.drop();
    if (refusal && draft.body === before) throw draft.left(refusal);
    try {
      const plan = await writePlanned(store, (items) => planEdit(stored, draft, items, io), 'none');
      draft.drop();
      return plan;
    } catch (error) {
      if (!(error instanceof AppError)) {
        io.note(`what was written is in ${draft.name}`);
        throw error;
      }
      refusal = error;
    }
  }
}

function planEdit(stored: Stored, draft: Draft, items: readonly Stored[], io: Io): WritePlan {
  const { namespace } = stored.key;
  const read = manifestsOf([draft], namespace === undefined ? {} : { namespace }, io);
  const [resource] = read;
  if (!resource || read.length > 1)
    throw new InvalidError(`got ${read.length} objects, want ${nameOfKey(stored.key)} alone`);
  refuseRenamed(stored.key, stored.resource, resource);
  const origin = stored.resource.metadata.annotations?.[originAnnotation];
  const kept = withoutStaleOrigin(stored.resource, withOrigin(resource, origin));
  return planWrites('replace', [withEmptied(stored.resource, kept)], items);
}

/** The draft is no place to be led to. */
function withOrigin(resource: Resource, origin: string | undefined): Resource {
  const { annotations: { [originAnnotation]: _, ...others } = {}, ...metadata } = resource.metadata;
  const annotations = origin === undefined ? others : { ...others, [originAnnotation]: origin };
  const isEmpty = Object.keys(annotations).length === 0;
  return { ...resource, metadata: isEmpty ? metadata : { ...metadata, annotations } };
}

/** The file that the editor works on: the object, under lines of ours. */
class Draft implements Disposable {
  readonly original: string;
  readonly name: string;
  /** Without our lines. */
  body: string;
  readonly #folder: string;
  readonly #io: Io;
  readonly #what: string;
  #isDone = false;

  constructor({ key, resource }: Stored, io: Io) {
    this.#folder = mkdtempSync(join(tmpdir(), 'muslin-edit-'));
    this.name = join(this.#folder, `${key.kind.toLowerCase()}-${key.name}.yaml`);
    this.original = manifestText(withOrigin(resource, undefined));
    this.body = this.original;
    this.#io = io;
    this.#what = nameOfKey(key);
  }

  /** What manifests read: our lines stay, so that a fault's line is that of the file. */
  get text(): string {
    return readFileSync(this.name, 'utf8');
  }

  /** @throws {InvalidError} when the editor fails. */
  async open(refusal: AppError | null): Promise<void> {
    writeFileSync(this.name, this.#header(refusal) + this.body, { mode: 0o600 });
    const editor = this.#io.env.VISUAL || this.#io.env.EDITOR || 'vi';
    const ignore = () => {}; // Ctrl-C is the editor's
    process.on('SIGINT', ignore);
    const { status, signal } = spawnSync('sh', ['-c', `${editor} "$1"`, 'sh', this.name], {
      stdio: 'inherit',
      env: { ...process.env, ...this.#io.env },
    });
    process.off('SIGINT', ignore);
    this.body = withoutHeader(this.text);
    if (status !== 0)
      throw this.left(
        new InvalidError(`the editor ${JSON.stringify(editor)} ended with ${signal ?? status}`),
      );
  }

  /** Lines that count themselves: a fault names the line that the editor will show. */
  #header(refusal: AppError | null): string {
    const hints = [
      `${this.#what}: lines here that begin with '#:' are left out. Leave the text as it is, or empty, to change nothing.`,
    ];
    if (!refusal) return headerText(hints);
    const faults = refusal instanceof InvalidError ? refusal.faults : [];
    const shift = hints.length + Math.max(1, faults.length) - countHeader(this.text);
    const lines = faults.map((fault) => {
      const { file: _, ...rest } = fault;
      return faultText(fault.line === undefined ? rest : { ...rest, file: 'line', line: fault.line + shift });
    });
    return headerText([...hints, ...(lines.length > 0 ? lines : errorText(refusal).split('\n').slice(0, 1))]);
  }

  /** An error that says where the text is. */
  left(reason: AppError): InvalidError {
    const faults = reason instanceof InvalidError ? reason.faults : [];
    const told = faults.length > 0 ? `${faults.map(faultText).join('\n')}\n` : '';
    return new InvalidError(
      `${told || `${reason.message}\n`}nothing was stored; what was written is in ${this.name}`,
    );
  }

  drop(): null {
    this.#isDone = true;
    return null;
  }

  [Symbol.dispose](): void {
    if (this.#isDone) rmSync(this.#folder, { recursive: true, force: true });
  }
}

const mark = '#: ';

function headerText(lines: readonly string[]): string {
  return lines.map((line) => `${mark}${line}\n`).join('');
}

function countHeader(text: string): number {
  const lines = text.split('\n');
  const end = lines.findIndex((line) => !line.startsWith(mark.trim()));
  return end < 0 ? lines.length : end;
}

function withoutHeader(text: string): string {
  return text.split('\n').slice(countHeader(text)).join('\n');
}
