// SPDX-License-Identifier: Apache-2.0
/** Objects that are questions: who am I, whose token is this, may he do that. Answered, never stored. */
import { memberAt, textAt } from '../model/json.ts';
import type { JsonObject } from '../model/types.ts';
import type { Access, Verdict } from './access.ts';
import { type ApiRequest, type JsonAnswer, json } from './answer.ts';
import { isPlainObject, objectBody } from './body.ts';
import { present, timeText } from './object-meta.ts';
import type { RequestPath } from './request-path.ts';
import { badRequest } from './status.ts';
import { ownAudience, type Tokens } from './tokens.ts';
import { authenticated, type User } from './user.ts';

export interface Reviewers {
  readonly access: Access;
  readonly tokens: Tokens;
}

type Review = (body: JsonObject, request: ApiRequest, reviewers: Reviewers) => JsonObject;

const reviews: { readonly [kind: string]: Review } = {
  TokenReview: tokenReview,
  SelfSubjectReview: selfReview,
  SelfSubjectAccessReview: selfAccessReview,
  SubjectAccessReview: accessReview,
  LocalSubjectAccessReview: accessReview,
  SelfSubjectRulesReview: rulesReview,
};

export function isReview(kind: string): boolean {
  return Object.hasOwn(reviews, kind);
}

export function review(kind: string, request: ApiRequest, reviewers: Reviewers): JsonAnswer {
  const { value } = objectBody(request, kind);
  const answer = reviews[kind];
  if (!isPlainObject(value) || !answer) throw badRequest(`cannot read ${kind}: want an object`);
  const group = kind.includes('Access') || kind.includes('Rules') ? 'authorization' : 'authentication';
  const type = { kind, apiVersion: `${group}.k8s.io/v1` };
  return json(201, { ...type, metadata: {}, ...answer(value, request, reviewers) });
}

function tokenReview(body: JsonObject, _: ApiRequest, { tokens }: Reviewers): JsonObject {
  const token = textAt(body, 'spec', 'token');
  const asked = memberAt(body, 'spec', 'audiences');
  const audiences = Array.isArray(asked) && asked.length > 0 ? (asked as readonly string[]) : [ownAudience];
  const user = tokens.userOf(token, audiences);
  const spec = body.spec ?? {};
  if (!user) return { spec, status: { user: {}, error: 'invalid bearer token' } };
  return { spec, status: { authenticated: true, user: userInfo(authenticated(user)), audiences } };
}

function userInfo({ name, uid, groups, extra }: User): JsonObject {
  return present({
    username: name,
    uid,
    groups,
    extra: extra && Object.keys(extra).length > 0 ? extra : undefined,
  });
}

function selfReview(_: JsonObject, { user }: ApiRequest): JsonObject {
  return { metadata: { creationTimestamp: timeText(new Date()) }, status: { userInfo: userInfo(user) } };
}

function selfAccessReview(body: JsonObject, { user }: ApiRequest, { access }: Reviewers): JsonObject {
  return { spec: body.spec ?? {}, status: verdictOf(access.verdict(user, askedPath(body))) };
}

function accessReview(body: JsonObject, _: ApiRequest, { access }: Reviewers): JsonObject {
  const groups = memberAt(body, 'spec', 'groups');
  const user = {
    name: textAt(body, 'spec', 'user'),
    groups: Array.isArray(groups) ? (groups as readonly string[]) : [],
  };
  return { spec: body.spec ?? {}, status: verdictOf(access.verdict(user, askedPath(body))) };
}

function verdictOf({ allowed, reason }: Verdict): JsonObject {
  return { allowed, ...(reason === '' ? {} : { reason }) };
}

function askedPath(body: JsonObject): RequestPath {
  const path = memberAt(body, 'spec', 'nonResourceAttributes');
  if (isPlainObject((path ?? null) as JsonObject | null))
    return { type: 'other', verb: textAt(path, 'verb'), path: textAt(path, 'path') };
  const asked = memberAt(body, 'spec', 'resourceAttributes');
  return {
    type: 'resource',
    verb: textAt(asked, 'verb'),
    group: textAt(asked, 'group'),
    version: textAt(asked, 'version'),
    namespace: textAt(asked, 'namespace'),
    resource: textAt(asked, 'resource'),
    subresource: textAt(asked, 'subresource'),
    name: textAt(asked, 'name'),
    rest: [],
    inNamespace: textAt(asked, 'namespace') !== '',
    path: '',
  };
}

/** Without evaluating every role: what an administrator may, or that the list is not complete. */
function rulesReview(body: JsonObject, { user }: ApiRequest, { access }: Reviewers): JsonObject {
  const namespace = textAt(body, 'spec', 'namespace');
  return { spec: body.spec ?? {}, status: access.rulesOf(user, namespace) };
}
