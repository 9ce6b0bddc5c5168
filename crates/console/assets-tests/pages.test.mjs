import assert from 'node:assert/strict';
import { test } from 'node:test';

import { diffOf } from '../assets/diff.js';
import { heatOf } from '../assets/heat.js';
import { verdictsOf } from '../assets/pages/health.js';
import { csvCell } from '../assets/pages/query.js';

const told = (before, after) => diffOf(before.split(''), after.split('')).map(({ kind, line }) => ({ same: ' ', gone: '-', new: '+' })[kind] + line).join('');

test('a difference keeps what is common', () => {
  assert.equal(told('abcd', 'axcd'), ' a-b+x c d');
  assert.equal(told('', 'ab'), '+a+b');
  assert.equal(told('ab', ''), '-a-b');
  assert.equal(told('abc', 'abc'), ' a b c');
  const long = Array.from({ length: 3_000 }, (_, at) => `a${at}`);
  assert.equal(diffOf(long, long.map((line) => `${line}!`)).length, 6_000);
});

test('cells of a file are quoted and are no formulas', () => {
  assert.deepEqual(['a,b', 'say "x"', '=1+1', '-0.5', null, 7, { a: 1 }].map(csvCell), ['"a,b"', '"say ""x"""', "'=1+1", '-0.5', '', '7', '"{""a"":1}"']);
});

test('heat is nothing for nothing and most for the most', () => {
  assert.deepEqual([heatOf(0, 5), heatOf(5, 5), heatOf(1, 0)], [0, 1, 0]);
});

test('health says what is wrong and what is well', () => {
  const tones = (facts) => verdictsOf(facts, true).map(({ tone }) => tone);
  assert.ok(tones({}).every((tone) => tone === 'good'));
  assert.deepEqual(verdictsOf({ dropped: 2, store_failures_in_a_row: 1, lag_seconds: 900, complete_to: 5e15, spool_bytes: 9, spool_full: true, quarantined: 1, price_faults: 1 }, true).map(({ tone }) => tone), ['bad', 'bad', 'bad', 'bad', 'warn', 'warn']);
});
