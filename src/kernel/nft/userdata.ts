// SPDX-License-Identifier: Apache-2.0
/**
 * What a rule carries for its readers: the comment that `nft list` shows, and a fingerprint by which a restarted agent
 * knows its own rules without remembering them. Comparing what the kernel lists with what was written is hopeless, as
 * listings differ in form; so the rule says itself what it was made from (Calico's agent does likewise).
 *
 * Form: libnftnl's type, length, value list (libnftnl, include/libnftnl/udata.h); nft skips types it does not know.
 */
import { createHash } from 'node:crypto';
import type { Family } from '../../lib/address.ts';
import type { NftRule } from './model.ts';
import { cutComment, ruleText } from './text.ts';

const typeComment = 0; // NFTNL_UDATA_RULE_COMMENT
const typeFingerprint = 0x4d;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function fingerprint(rule: NftRule, family: Family): string {
  return createHash('sha1').update(ruleText(rule, family)).digest('base64url').slice(0, 12);
}

export function ruleUserdata(rule: NftRule, family: Family): Uint8Array {
  const comment =
    rule.comment === undefined ? [] : tlv(typeComment, encoder.encode(`${cutComment(rule.comment)}\0`));
  return Uint8Array.from([...comment, ...tlv(typeFingerprint, encoder.encode(fingerprint(rule, family)))]);
}

function tlv(type: number, value: Uint8Array): number[] {
  return [type, value.length, ...value];
}

/** Null for a rule that is not ours. */
export function readFingerprint(userdata: Uint8Array): string | null {
  for (let at = 0; at + 2 <= userdata.length; at += 2 + (userdata[at + 1] ?? 0)) {
    if (userdata[at] === typeFingerprint)
      return decoder.decode(userdata.slice(at + 2, at + 2 + (userdata[at + 1] ?? 0)));
  }
  return null;
}
