// SPDX-License-Identifier: Apache-2.0
/** What became of policy tests: for people, and as JUnit XML, which CI systems read. */
import type { CaseResult } from './policy-cases.ts';
import { tableText } from './table.ts';

/** Differences of one matrix that are told unless all are asked for. */
const shownProblems = 10;

/** Failures, each with its explanation; of all cases a table first where that is asked for. */
export function caseReport(results: readonly CaseResult[], verbose: boolean): string {
  const failed = results.filter(({ problems }) => problems.length > 0);
  const summary = `${results.length} cases: ${results.length - failed.length} passed, ${failed.length} failed\n`;
  const table = verbose ? `${caseTable(results)}\n` : '';
  return [table, ...failed.map((result) => failureText(result, verbose)), summary].join('');
}

function caseTable(results: readonly CaseResult[]): string {
  const header = ['RESULT', 'CASE', 'FROM', 'TO', 'PORT', 'WANT', 'GOT', 'BY'];
  const rows = results.map(({ problems, name, from, to, port, expect, found, by }) => {
    return [problems.length === 0 ? 'ok' : 'FAIL', name, from, to, String(port ?? '-'), expect, found, by];
  });
  return tableText([header, ...rows]);
}

function failureText({ file, line, name, problems, explanation }: CaseResult, verbose: boolean): string {
  const shown = verbose ? problems : problems.slice(0, shownProblems);
  const rest = problems.length - shown.length;
  const lines = [
    `FAIL  ${file}:${line}: ${name}`,
    ...shown.map((problem) => `  ${problem}`),
    ...(rest > 0 ? [`  and ${rest} more; -v lists them`] : []),
    ...explanation.split('\n').map((text) => (text === '' ? '' : `    ${text}`)),
  ];
  return `${lines.join('\n').trimEnd()}\n\n`;
}

/** One suite for each file. @see https://github.com/testmoapp/junitxml for what readers of it expect */
export function junitXml(results: readonly CaseResult[], seconds: number): string {
  const files = Map.groupBy(results, ({ file }) => file);
  const suites = [...files].map(([file, cases]) => suiteXml(file, cases));
  const total = `${counts(results)} time="${seconds.toFixed(3)}"`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="muslin test" ${total}>\n${suites.join('')}</testsuites>\n`;
}

function suiteXml(file: string, results: readonly CaseResult[]): string {
  const cases = results.map((result) => caseXml(result));
  return `  <testsuite name="${xml(file)}" ${counts(results)}>\n${cases.join('')}  </testsuite>\n`;
}

function counts(results: readonly CaseResult[]): string {
  const failed = results.filter(({ problems }) => problems.length > 0).length;
  return `tests="${results.length}" failures="${failed}" errors="0" skipped="0"`;
}

function caseXml({ file, line, name, problems, explanation }: CaseResult): string {
  const start = `    <testcase name="${xml(name)}" classname="${xml(file)}" file="${xml(file)}" line="${line}"`;
  const [first] = problems;
  if (first === undefined) return `${start}/>\n`;
  const text = [...problems, '', explanation].join('\n').trimEnd();
  return `${start}>\n      <failure message="${xml(first)}">${xml(text)}</failure>\n    </testcase>\n`;
}

const references: { readonly [character: string]: string } = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\n': '&#10;',
};

/** Control characters have no place in XML 1.0, section 2.2. */
function xml(text: string): string {
  const printable = [...text].filter(
    (character) => character >= ' ' || character === '\n' || character === '\t',
  );
  return printable.map((character) => references[character] ?? character).join('');
}
