// SPDX-License-Identifier: Apache-2.0
/** `-o name`, `json`, `ndjson`, `yaml`: resources as they are, in forms that `apply -f -` reads back (`json` and `yaml`). */
import { UsageError } from '../lib/errors.ts';
import { manifestText } from '../model/manifest/print.ts';
import type { Resource } from '../model/types.ts';
import { objectName } from './object-name.ts';

/** One object stands for itself, any other number for a list. */
export type Printer = (resources: readonly Resource[]) => string;

/** Null without a form. @throws {UsageError} for an unknown one. */
export function plainOutput(form: string | undefined): Printer | null {
  switch (form) {
    case undefined:
      return null;
    case 'name':
      return (resources) => resources.map((resource) => `${objectName(resource)}\n`).join('');
    case 'json':
      return (resources) => jsonText(oneOrList(resources));
    case 'ndjson':
      return linesText;
    case 'yaml':
      return (resources) => manifestText(oneOrList(resources));
    default:
      throw new UsageError(`-o: got ${JSON.stringify(form)}, want name, json, ndjson or yaml`);
  }
}

export function jsonText(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** An object a line. */
export function linesText(resources: readonly unknown[]): string {
  return resources.map((resource) => `${JSON.stringify(resource)}\n`).join('');
}

export function listOf(resources: readonly unknown[]): object {
  return { apiVersion: 'v1', kind: 'List', items: resources };
}

function oneOrList(resources: readonly Resource[]): unknown {
  return resources.length === 1 ? resources[0] : listOf(resources);
}
