// SPDX-License-Identifier: Apache-2.0
/** Kinds that are asked and not stored: who somebody is, and what they may do. */
import type { OpenApiSchema, ServedResource } from '../served-resource.ts';
import { flag, kept, listOf, long, mapOf, object, text, texts, time, written } from './fields.ts';
import { builtinKind } from './kind.ts';

const user = object({ username: text, uid: text, groups: texts, extra: mapOf(texts) });

const resourceAttributes = object({
  namespace: text,
  verb: text,
  group: text,
  version: text,
  resource: text,
  subresource: text,
  name: text,
});
const nonResourceAttributes = object({ path: text, verb: text });
const target = { resourceAttributes, nonResourceAttributes };
const verdict = written(
  object({ allowed: written(flag), denied: flag, reason: text, evaluationError: text }),
);

function review(
  group: string,
  kind: string,
  fields: { readonly [name: string]: OpenApiSchema },
  namespaced = false,
): ServedResource {
  return builtinKind({ group, kind, namespaced, verbs: ['create'], fields });
}

const authentication = 'authentication.k8s.io';
const authorization = 'authorization.k8s.io';

export const tokenReviews: ServedResource = review(authentication, 'TokenReview', {
  spec: written(object({ token: text, audiences: texts })),
  status: written(object({ authenticated: flag, user: written(user), audiences: texts, error: text })),
});

export const selfSubjectReviews: ServedResource = review(authentication, 'SelfSubjectReview', {
  status: written(object({ userInfo: written(user) })),
});

/** What serviceaccounts/token takes; no resource of its own. */
export const tokenRequests: ServedResource = review(
  authentication,
  'TokenRequest',
  {
    spec: written(
      object({
        audiences: written(texts),
        expirationSeconds: kept(long),
        boundObjectRef: kept(object({ kind: text, apiVersion: text, name: text, uid: text })),
      }),
    ),
    status: written(object({ token: written(text), expirationTimestamp: written(time) })),
  },
  true,
);

const subject = { user: text, groups: texts, extra: mapOf(texts), uid: text };

export const subjectAccessReviews: ServedResource = review(authorization, 'SubjectAccessReview', {
  spec: written(object({ ...target, ...subject })),
  status: verdict,
});

export const localSubjectAccessReviews: ServedResource = review(
  authorization,
  'LocalSubjectAccessReview',
  { spec: written(object({ ...target, ...subject })), status: verdict },
  true,
);

export const selfSubjectAccessReviews: ServedResource = review(authorization, 'SelfSubjectAccessReview', {
  spec: written(object(target)),
  status: verdict,
});

export const selfSubjectRulesReviews: ServedResource = review(authorization, 'SelfSubjectRulesReview', {
  spec: written(object({ namespace: text })),
  status: written(
    object({
      resourceRules: written(
        listOf(object({ verbs: written(texts), apiGroups: texts, resources: texts, resourceNames: texts })),
      ),
      nonResourceRules: written(listOf(object({ verbs: written(texts), nonResourceURLs: texts }))),
      incomplete: written(flag),
      evaluationError: text,
    }),
  ),
});
