// SPDX-License-Identifier: Apache-2.0
/** `muslin apply -f`: make what is stored as the manifests say; all of it or nothing. */
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { registerWrite } from '../write-options.ts';

export function register(program: Command, io: Io): void {
  registerWrite(program, io, 'apply', 'create or change objects as manifests say, all of them or none')
    .option('--server-side', 'let the Kubernetes API merge: fields have managers, others keep theirs')
    .option('--force-conflicts', 'with --server-side: take over fields that others manage')
    .option('--field-manager <name>', 'with --server-side: who we are', 'muslin');
}
