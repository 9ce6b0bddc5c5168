import assert from 'node:assert/strict';
import { test } from 'node:test';

import { condition, piecesOf, searchesText, valueOf, withCondition, withoutPiece, wordAt } from '../assets/query.js';

const texts = (query) => piecesOf(query).map(({ text }) => text);

test('a query is taken apart where conditions stand side by side', () => {
  assert.deepEqual(texts('model:gpt-4o  -user:"Ada L" "late parcel"'), ['model:gpt-4o', '-user:"Ada L"', '"late parcel"']);
  assert.deepEqual(texts('(model:a OR model:b) cost>1'), ['(model:a OR model:b)', 'cost>1']);
  assert.deepEqual(texts('model:a OR model:b user:c'), ['model:a OR model:b', 'user:c']);
  assert.deepEqual(texts('a AND NOT user:b'), ['a', 'NOT user:b']);
  assert.deepEqual(texts('user:"a \\" b) c"'), ['user:"a \\" b) c"']);
  assert.deepEqual(texts(''), []);
  assert.deepEqual(piecesOf('-prop."My team":"x \\"y\\""')[0], { text: '-prop."My team":"x \\"y\\""', field: 'prop.My team', value: 'x "y"', negated: true });
  assert.equal(piecesOf('cost>1')[0].field, null);
});

test('conditions are written so that they are read back', () => {
  for (const [field, value] of [['model', 'gpt-4o'], ['user', 'Ada "L" \\ x'], ['prop.My team', 'a,b'], ['user', '-x*'], ['error', 'OR'], ['session_path', '/a/b'], ['user', 'ü']]) {
    const [piece, ...more] = piecesOf(condition(field, value));
    assert.deepEqual([piece.field, piece.value, piece.negated, more.length], [field, value, false, 0], condition(field, value));
  }
  assert.equal(condition('user', 'a', true), '-user:a');
});

test('a condition takes the place of another on its field', () => {
  assert.equal(withCondition('user:ada model:x', 'user', 'grace'), 'model:x user:grace');
  assert.equal(withCondition('-user:ada', 'user', 'grace'), '-user:ada user:grace');
  assert.equal(withCondition('user:ada', 'user', 'ada'), 'user:ada');
  assert.equal(withCondition('model:x', 'model', 'y', true), 'model:x -model:y');
  assert.equal(withoutPiece('a b:c d', 1), 'a d');
  assert.equal(valueOf('-user:x user:"a b"', 'user'), 'a b');
});

test('the word at the caret', () => {
  assert.deepEqual(wordAt('model:gp user:a', 8), { start: 0, end: 8, field: 'model', typed: 'gp' });
  assert.deepEqual(wordAt('a -us', 5), { start: 3, end: 5, field: null, typed: 'us' });
  assert.deepEqual(wordAt('user:"Ada L', 11), { start: 0, end: 11, field: 'user', typed: 'Ada L' });
  assert.deepEqual(wordAt('(model:a', 8), { start: 1, end: 8, field: 'model', typed: 'a' });
  assert.deepEqual(wordAt('', 0), { start: 0, end: 0, field: null, typed: '' });
});

test('words are told from conditions', () => {
  assert.equal(searchesText('model:a cost>1'), false);
  assert.equal(searchesText('model:a parcel'), true);
  assert.equal(searchesText('text:parcel'), true);
});
