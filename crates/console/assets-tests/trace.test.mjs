import assert from 'node:assert/strict';
import { test } from 'node:test';

import { curlOf, shellQuoted } from '../assets/curl.js';
import { branchesOf, framesOf, rowsOf } from '../assets/trace.js';

const step = (id, parent, at, more = {}) => ({ id, parent, timing: { received_at: at, end_us: 10 }, cost: { total: '1' }, usage: { input_tokens: 2, output_tokens: 1 }, outcome: 'complete', attempts: [1], model: 'm', name: null, session: { path: '/a' }, ...more });

test('steps stand beneath their parents, each once', () => {
  const rows = rowsOf([step('a', null, 1), step('b', 'a', 2), step('c', null, 3), step('d', 'a', 4), step('e', 'lost', 5)], []);
  assert.deepEqual(rows.map(({ step, depth }) => `${step.id}${depth}`), ['a0', 'b1', 'd1', 'c0', 'e0']);
  assert.deepEqual(rows.map(({ before }) => before.cost), [0, 1, 2, 3, 4]);
  const circle = rowsOf([step('a', 'b', 1), step('b', 'a', 2)], []);
  assert.deepEqual(circle.map(({ step }) => step.id), ['a', 'b']);
});

test('ten thousand steps beneath each other are no trouble', () => {
  const chain = Array.from({ length: 10_000 }, (_, at) => step(`s${at}`, at ? `s${at - 1}` : null, at));
  const rows = rowsOf(chain, []);
  assert.deepEqual([rows.length, rows.at(-1).depth], [10_000, 9_999]);
});

test('what may be waste is marked', () => {
  const repeats = [{ path: '/a', name: null, model: 'm', times: 3 }];
  const kinds = (one) => rowsOf([one], repeats)[0].marks.map(({ kind }) => kind);
  assert.deepEqual(kinds(step('a', null, 1)), ['loop']);
  assert.deepEqual(kinds(step('a', null, 1, { session: { path: '/b' }, outcome: 'cut_short', attempts: [1, 2] })), ['failed', 'retried']);
  assert.deepEqual(kinds(step('a', null, 1, { model: 'n', outcome: 'client_gone' })), ['left']);
});

const tree = { name: '', cost: '4', tokens: 10, busy_us: 1, children: [
  { name: 'x', cost: '1', tokens: 8, busy_us: 1, children: [] },
  { name: 'y', cost: '2', tokens: 0, busy_us: 0, children: [{ name: 'z', cost: '2', tokens: 0, busy_us: 0, children: [] }] },
] };

test('frames are as wide as their part, inside their parent', () => {
  const frames = framesOf(tree, 'cost').map(({ path, depth, left, width }) => [path, depth, left, width]);
  assert.deepEqual(frames, [['/', 0, 0, 1], ['/y', 1, 0, 0.5], ['/y/z', 2, 0, 0.5], ['/x', 1, 0.5, 0.25]]);
  assert.equal(framesOf(tree, 'tokens').length, 2);
});

test('folded branches hide what is below', () => {
  assert.deepEqual(branchesOf(tree, new Set(['/y'])).map(({ path }) => path), ['/', '/x', '/y']);
});

test('a request as a command survives any quote', () => {
  assert.equal(shellQuoted("it's"), "'it'\\''s'");
  const call = { method: 'POST', path: '/v1/x', user: 'ada', session: null, prompt: null, properties: { Team: "o'k" }, request: { text: '{"a":1}' } };
  const command = curlOf(call, 'http://h');
  assert.ok(command.startsWith("curl 'http://h/v1/x'") && command.includes("-H 'Helicone-Property-Team: o'\\''k'") && command.endsWith(`--data-raw '{"a":1}'`), command);
});
