import assert from 'node:assert/strict';
import { test } from 'node:test';

import { NONE, arrive, catchUp, firstPage, olderPage, showWaiting } from '../assets/calls.js';

const call = (at, id = `id-${String(at).padStart(5, '0')}`) => ({ id, cursor: `${at}_${id}`, timing: { received_at: at } });
const range = (from, to) => Array.from({ length: from - to + 1 }, (_, index) => call(from - index));
const times = (calls) => calls.rows.map((row) => row.timing.received_at);

test('pages join without repeats, newest first', () => {
  const first = firstPage({ rows: [call(9), call(8)], next: '8_x' });
  const both = olderPage(first, { rows: [call(8), call(7, 'b'), call(7, 'a')], next: null });
  assert.deepEqual(times(both), [9, 8, 7, 7]);
  assert.deepEqual(both.rows.slice(2).map((row) => row.id), ['b', 'a']);
  assert.equal(both.next, null);
});

test('new calls wait while somebody reads, and come in where they belong', () => {
  const first = firstPage({ rows: [call(9), call(5)], next: '5_x' });
  const held = arrive(arrive(first, [call(10), call(7)], false), [call(10), call(9)], false);
  assert.deepEqual([times(held), held.waiting.length], [[9, 5], 2]);
  assert.deepEqual(times(showWaiting(held)), [10, 9, 7, 5]);
  assert.deepEqual(times(arrive(first, [call(10)], true)), [10, 9, 5]);
});

test('a call older than the last one shown comes with its own page', () => {
  const first = firstPage({ rows: [call(9), call(5)], next: '5_x' });
  assert.equal(arrive(first, [call(3)], true), first);
  assert.deepEqual(times(arrive({ ...first, next: null }, [call(3)], true)), [9, 5, 3]);
});

test('a list that grows on top lets go of its end and knows where to go on', () => {
  let calls = firstPage({ rows: range(600, 101), next: null });
  calls = arrive(calls, range(620, 601), true);
  assert.deepEqual([calls.rows.length, calls.rows[0].timing.received_at, calls.rows.at(-1).timing.received_at], [500, 620, 121]);
  assert.equal(calls.next, calls.rows.at(-1).cursor);
});

test('more than can wait is a gap', () => {
  const calls = arrive(firstPage({ rows: [call(1)], next: null }), range(1000, 2), false);
  assert.deepEqual([calls.missed, calls.waiting.length], [true, 500]);
});

test('catching up joins, or finds a gap', () => {
  const first = firstPage({ rows: [call(9), call(8)], next: '8_x' });
  assert.deepEqual(times(catchUp(first, { rows: [call(10), call(9)], next: '9_x' }, true)), [10, 9, 8]);
  const far = { rows: [call(99), call(98)], next: '98_x' };
  assert.deepEqual(times(catchUp(first, far, true)), [99, 98]);
  assert.equal(catchUp(first, far, false).missed, true);
  assert.deepEqual(times(catchUp(NONE, far, false)), [99, 98]);
});

test('a stored answer and a look at what is there use nothing; an answer without usage may have cost something', async () => {
  const { mayHaveCost } = await import('../assets/outcome.js');
  const call = { method: 'POST', outcome: 'complete', cost: { status: 'no_usage' }, control: {} };
  assert.equal(mayHaveCost(call), true);
  assert.equal(mayHaveCost({ ...call, control: { cache: { status: 'miss' } } }), true);
  assert.equal(mayHaveCost({ ...call, control: { cache: { status: 'joined' } } }), false);
  assert.equal(mayHaveCost({ ...call, method: 'GET' }), false);
  assert.equal(mayHaveCost({ ...call, method: 'GET', cost: { status: 'unknown_model' } }), true);
});
