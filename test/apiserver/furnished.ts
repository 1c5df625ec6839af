// SPDX-License-Identifier: Apache-2.0
/** A server with what a transcript needs to be there. */
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { parseAllDocuments } from 'yaml';
import { type ApiServer, startApiServer } from '../../src/apiserver/server.ts';
import type { JsonObject } from '../../src/model/types.ts';
import { type Transcript, widgetDefinitions } from './transcript.ts';

const manifest = new URL('../../manifests/crds.yaml', import.meta.url).pathname;

/** @param certificates - a folder that several servers share */
export async function furnishedServer(needs: Transcript['needs'], certificates: string): Promise<ApiServer> {
  const server = await startApiServer({ certificates, bookmarkInterval: 1000 });
  for (const need of needs) for (const definition of definitionsOf(need)) await post(server, definition);
  return server;
}

function definitionsOf(need: Transcript['needs'][number]): readonly JsonObject[] {
  switch (need) {
    case 'base':
      return [];
    case 'widget-crds':
      return widgetDefinitions();
    case 'calico-v3-crds':
      return parseAllDocuments(readFileSync(manifest, 'utf8')).map((each) => each.toJS() as JsonObject);
  }
}

async function post(server: ApiServer, body: JsonObject): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const asking = request(
    `${server.url}/apis/apiextensions.k8s.io/v1/customresourcedefinitions`,
    {
      method: 'POST',
      ca: server.ca,
      ...server.adminKeys(),
      headers: { 'content-type': 'application/json' },
    },
    (response) => {
      response.setEncoding('utf8');
      let text = '';
      response.on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => (response.statusCode === 201 ? resolve() : reject(new Error(text))));
    },
  );
  asking.on('error', reject);
  asking.end(JSON.stringify(body));
  await promise;
}
