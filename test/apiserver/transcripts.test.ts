// SPDX-License-Identifier: Apache-2.0
/** Every recorded conversation with a real 1.36 server is held with ours, and the answers are compared. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { CertificateAuthority } from '../../src/apiserver/certificates.ts';
import { exceptions } from './exceptions.ts';
import { furnishedServer } from './furnished.ts';
import { type Outcome, Replay } from './replay.ts';
import { readTranscripts, type Transcript } from './transcript.ts';

const certificates = mkdtempSync(join(tmpdir(), 'muslin-transcripts-'));
const excused = new Map(exceptions.flatMap(({ steps, reason }) => steps.map((step) => [step, reason])));
const transcripts = readTranscripts();
const met = { yes: 0, all: 0 };

before(() => void new CertificateAuthority(certificates));

after(() => {
  rmSync(certificates, { recursive: true, force: true });
  const steps = transcripts.reduce((count, transcript) => count + transcript.steps.length, 0);
  const silent = steps - met.all;
  console.log(`transcripts: ${met.yes} of ${met.all} answers met; ${silent} of ${steps} steps have none`);
});

// watches wait for their time to end: topics run beside each other
describe('transcripts of a real API server', { concurrency: 12 }, () => {
  for (const transcript of transcripts) test(transcript.topic, () => replay(transcript));
});

test('every exception names a step', () => {
  const known = new Set(
    transcripts.flatMap(({ topic, steps }) => steps.map(({ name }) => `${topic}/${name}`)),
  );
  assert.deepEqual(
    [...excused.keys()].filter((step) => !known.has(step)),
    [],
  );
});

async function replay(transcript: Transcript): Promise<void> {
  const server = await furnishedServer(transcript.needs, certificates);
  const talk = new Replay(server);
  const outcomes = await talk.run(transcript).finally(async () => {
    talk.close();
    await server.stop();
  });
  met.all += outcomes.length;
  met.yes += outcomes.filter(({ faults }) => faults.length === 0).length;
  assert.deepEqual(outcomes.flatMap(complaint), []);
}

function complaint({ step, faults }: Outcome): readonly string[] {
  const reason = excused.get(step);
  if (reason === undefined) return faults.map((fault) => `${step}: ${fault}`);
  return faults.length > 0 ? [] : [`${step} is met, and exceptions.ts says that it is not: ${reason}`];
}
