// SPDX-License-Identifier: Apache-2.0
import { Document } from 'yaml';
import { printSchema } from './scalars.ts';

/** YAML that `readManifest`, Kubernetes and other readers of YAML 1.1 and 1.2 all read back as `value`, which is JSON. */
export function manifestText(value: unknown): string {
  const document = new Document(value, { schema: printSchema, aliasDuplicateObjects: false });
  return document.toString({ lineWidth: 0 });
}
