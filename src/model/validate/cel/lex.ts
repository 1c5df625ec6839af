// SPDX-License-Identifier: Apache-2.0
/** The words of a CEL expression (cel-spec, doc/langdef.md: Syntax), as far as the schemas use them. */

export interface Token {
  readonly kind: 'number' | 'text' | 'name' | 'sign' | 'end';
  /** Of a text what stands between its quotes, unescaped. */
  readonly text: string;
  /** Characters before it. */
  readonly position: number;
}

const word =
  /\s*(?:(?<number>\d+(?:\.\d+)?)|(?<raw>[rR](?:'[^']*'|"[^"]*"))|(?<quoted>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(?<name>[A-Za-z_]\w*)|(?<sign>&&|\|\||[=!<>]=|[-+*/%<>!?:.,()[\]]))/y;

/** @throws {SyntaxError} */
export function tokensOf(expression: string): readonly Token[] {
  const tokens: Token[] = [];
  word.lastIndex = 0;
  for (let position = 0; position < expression.trimEnd().length; position = word.lastIndex) {
    word.lastIndex = position;
    const groups = word.exec(expression)?.groups;
    if (!groups)
      throw new SyntaxError(`CEL: got ${expression.slice(position, position + 10)} at ${position}`);
    tokens.push({ ...kindAndText(groups), position });
  }
  return [...tokens, { kind: 'end', text: '', position: expression.length }];
}

function kindAndText(groups: { readonly [name: string]: string | undefined }): Pick<Token, 'kind' | 'text'> {
  if (groups.number !== undefined) return { kind: 'number', text: groups.number };
  if (groups.raw !== undefined) return { kind: 'text', text: groups.raw.slice(2, -1) };
  if (groups.quoted !== undefined) return { kind: 'text', text: unescaped(groups.quoted.slice(1, -1)) };
  if (groups.name !== undefined) return { kind: 'name', text: groups.name };
  return { kind: 'sign', text: groups.sign ?? '' };
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/g, (_, char: string) => ({ n: '\n', t: '\t', r: '\r' })[char] ?? char);
}
