// SPDX-License-Identifier: Apache-2.0
/** The recorded conversations with a real server, as test/data/k8s-transcripts/README.md describes them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Json, JsonObject } from '../../src/model/types.ts';

export interface Transcript {
  readonly topic: string;
  readonly needs: readonly ('base' | 'widget-crds' | 'calico-v3-crds')[];
  readonly keepManagedFields?: boolean;
  readonly steps: readonly Step[];
}

export type Step = RequestStep | CollectStep | PauseStep | CompactStep;

export interface RequestStep {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly query?: { readonly [name: string]: string };
  readonly headers?: { readonly [name: string]: string };
  readonly as?: string;
  readonly body?: Json;
  readonly watch?: { readonly maxEvents: number; readonly timeoutMs: number; readonly background?: boolean };
  readonly shape?: boolean;
  readonly only?: { readonly list: string; readonly key?: string; readonly values: readonly string[] };
  /** Absent for what goes on in the background. */
  readonly response?: Recorded;
}

export interface CollectStep {
  readonly name: string;
  readonly collect: string;
  readonly response: Recorded;
}

export interface PauseStep {
  readonly name: string;
  readonly pause: number;
}

export interface CompactStep {
  readonly name: string;
  readonly compact: true;
}

export interface Recorded {
  readonly status: number;
  readonly headers?: { readonly [name: string]: string };
  readonly body?: Json;
  readonly text?: string;
  readonly events?: readonly JsonObject[];
  readonly closedBy?: 'server' | 'client';
}

const folder = new URL('../data/k8s-transcripts/', import.meta.url).pathname;
const preconditions = 'preconditions.json';

export function readTranscripts(): readonly Transcript[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json') && name !== preconditions)
    .sort()
    .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Transcript);
}

/** The definitions that `widget-crds` stands for. */
export function widgetDefinitions(): readonly JsonObject[] {
  const known = JSON.parse(readFileSync(join(folder, preconditions), 'utf8')) as {
    'widget-crds': readonly JsonObject[];
  };
  return known['widget-crds'];
}
