// SPDX-License-Identifier: Apache-2.0
/** Every living namespace has a ServiceAccount `default`, and the server's certificate authority in a ConfigMap. */
import { collectionOf } from '../collection.ts';
import type { ApiObject } from '../objects/object.ts';
import type { Serving } from '../serving.ts';
import { ensure } from './own-writes.ts';
import { Pass } from './pass.ts';

const namespaces = collectionOf('', 'namespaces');

export function furnishNamespaces(serving: Serving, ca: string): () => void {
  const pass = new Pass(() => {
    for (const namespace of serving.store.list(namespaces)) furnish(serving, namespace, ca);
  });
  const collections = [namespaces, collectionOf('', 'serviceaccounts'), collectionOf('', 'configmaps')];
  const ends = collections.map((collection) =>
    serving.store.follow(collection, ({ type }) => {
      if (type === (collection === namespaces ? 'ADDED' : 'DELETED')) pass.plan();
    }),
  );
  pass.plan();
  return () => {
    pass.stop();
    for (const end of ends) end();
  };
}

function furnish(serving: Serving, { metadata }: ApiObject, ca: string): void {
  if (metadata.deletionTimestamp !== undefined) return;
  const namespace = metadata.name;
  ensure(serving, {
    group: '',
    plural: 'serviceaccounts',
    namespace,
    body: { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } },
  });
  ensure(serving, {
    group: '',
    plural: 'configmaps',
    namespace,
    body: {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'kube-root-ca.crt' },
      data: { 'ca.crt': ca },
    },
  });
}
