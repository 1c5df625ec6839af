// SPDX-License-Identifier: Apache-2.0
/**
 * Text to YAML documents, each a tree of nodes with positions.
 *
 * Invariants: size, nesting and number of tokens are bounded while the text is read, before any tree is built from it:
 *             the library composes trees by recursion, and would end the process on a text that is nested deep enough.
 *             Time is linear in the text. Nothing is thrown.
 */
import { Composer, type Document, Lexer, LineCounter, type ParsedNode, Parser } from 'yaml';
import type { Fault } from '../../lib/errors.ts';
import { maxNesting } from '../json.ts';
import { kubernetesSchema } from './scalars.ts';

/** Characters of one file. */
export const maxTextLength: number = 10 * 1024 * 1024;
/** Lexical tokens of one file: ordinary manifests have one for four characters; the tree takes 300 bytes for each. */
export const maxTokens = 3_000_000;
/** On the parser's stack below and above the collections: the document and a scalar. */
const besideCollections = 2;

export interface Place {
  readonly line: number;
  readonly column: number;
}

/** Where each character of one file stands; faults are made here. */
export class Source {
  readonly file: string;
  readonly lines: LineCounter = new LineCounter();

  constructor(file: string) {
    this.file = file;
  }

  place(offset: number): Place {
    const { line, col } = this.lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }

  fault(path: string, message: string, offset: number): Fault {
    return { path, message, file: this.file, ...this.place(offset) };
  }
}

export type YamlDocument = Document.Parsed<ParsedNode>;

/**
 * Every document in turn; faults of the text as a whole go to `report`.
 *
 * @remarks A document is yielded once complete, so that the caller's work is done before the next one takes memory.
 */
export function* documentsOf(
  text: string,
  source: Source,
  report: (fault: Fault) => void,
): Generator<YamlDocument> {
  const unreadable = textFault(text, source);
  if (unreadable) return report(unreadable);
  const parser = new Parser();
  const composer = new Composer({ schema: kubernetesSchema, uniqueKeys: false, prettyErrors: false });
  let tokens = 0;
  let offset = 0;
  for (const lexeme of new Lexer().lex(text)) {
    for (const token of parser.next(lexeme)) yield* composer.next(token);
    offset += isMark(lexeme) ? 0 : lexeme.length;
    if (parser.stack.length > maxNesting + besideCollections) {
      return report(source.fault('', `nested too deep: want at most ${maxNesting} levels`, offset));
    }
    if (++tokens > maxTokens) {
      return report(source.fault('', `too large: want at most ${maxTokens} tokens in one file`, offset));
    }
  }
  for (const token of parser.end()) yield* composer.next(token);
  yield* composer.end();
}

/** The lexer's own signs, which stand for no text: document, flow end after an error, scalar. */
function isMark(lexeme: string): boolean {
  return lexeme === '\x02' || lexeme === '\x18' || lexeme === '\x1f';
}

/** Notes where lines begin on the way. */
function textFault(text: string, source: Source): Fault | null {
  if (text.length > maxTextLength) {
    return source.fault('', `got ${text.length} characters, want at most ${maxTextLength}`, 0);
  }
  source.lines.addNewLine(0);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x0a) source.lines.addNewLine(i + 1);
    if (isForbidden(code)) {
      const shown = `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
      return source.fault('', `got the control character ${shown}, want text`, i);
    }
  }
  return null;
}

/** Of the C0 controls YAML has tab, line feed and carriage return (1.1, section 4.1); JSON has the later ones raw too. */
function isForbidden(code: number): boolean {
  return code < 0x20 && code !== 0x09 && code !== 0x0a && code !== 0x0d;
}
