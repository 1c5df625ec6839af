// SPDX-License-Identifier: Apache-2.0
/** The rules that a driver would write for messages, as nft text and as bytes, and whether that text is inside nft's grammar. */
import assert from 'node:assert/strict';
import type { DataplaneMessage } from '../../src/contract/dataplane.ts';
import { FamilyRuleset } from '../../src/drivers/nftables/ruleset.ts';
import { encodeBatch } from '../../src/kernel/nft/encode.ts';
import type { NftOp } from '../../src/kernel/nft/model.ts';
import { transactionText } from '../../src/kernel/nft/text.ts';

/** libnftnl's NFTNL_UDATA_COMMENT_MAXLEN and NF_LOG_PREFIXLEN, each with its NUL. */
const maxQuotedBytes = 127;
/** nft(8): quoted strings end at the next quote, whatever stands before it; scanner.l, `quotedstring`. */
const quoted = /"([^"]*)"/g;
/** What is left of a line of ours without its strings. */
const plain = /^(add|delete|flush) (table|chain|rule|set|map|element) ip6? muslin( [\w.:/@,;{}=!<>* -]*)?$/;

export function nftOperations(messages: readonly DataplaneMessage[]): readonly NftOp[] {
  return ([4, 6] as const).flatMap((family) => {
    const ruleset = new FamilyRuleset(family, { interfacePrefix: 'cali' });
    for (const message of messages) ruleset.onMessage(message);
    ruleset.render();
    return ruleset.table.operations();
  });
}

/** @returns the text. */
export function assertNftText(ops: readonly NftOp[]): string {
  let seq = 0;
  encodeBatch(ops, () => ++seq);
  const text = transactionText(ops);
  for (const line of text.trimEnd().split('\n')) assertLine(line);
  return text;
}

function assertLine(line: string): void {
  for (const [, inside = ''] of line.matchAll(quoted)) {
    assert.ok(!/[\\\p{Cc}]/u.test(inside), `a string that nft reads otherwise: ${line}`);
    assert.ok(inside.isWellFormed(), `half a character: ${line}`);
    assert.ok(Buffer.byteLength(inside) <= maxQuotedBytes, `${Buffer.byteLength(inside)} bytes: ${line}`);
  }
  assert.match(line.replace(quoted, 'string'), plain);
}
