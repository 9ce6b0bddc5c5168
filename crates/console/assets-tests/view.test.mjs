import assert from 'node:assert/strict';
import { test } from 'node:test';

import { eventsOf, layOut } from '../assets/json.js';
import { addressOf, questionOf, readSearch, readView } from '../assets/view.js';

test('a view survives its address', () => {
  const view = { filters: { model: 'a/b c', property: 'Team:x&y' }, range: '24h', open: '0190-abc', tab: 'cost' };
  const [path, search] = addressOf(view).split('?');
  assert.deepEqual(readView(path, `?${search}`), view);
  assert.equal(addressOf({ filters: {}, range: '', open: null, tab: 'cost' }), '/');
  assert.deepEqual(readView('/elsewhere', '?range=never&tab=none&user='), { filters: {}, range: '', open: null, tab: 'conversation' });
});

test('a relative range is a moment to the API, and an absolute one wins', () => {
  const now = Date.UTC(2026, 0, 2);
  const view = { filters: { user: 'ada' }, range: '24h', open: null, tab: 'conversation' };
  assert.equal(String(questionOf(view, now)), `user=ada&from=${Date.UTC(2026, 0, 1) * 1000}`);
  assert.equal(String(questionOf({ ...view, filters: { from: '5' } }, now)), 'from=5');
});

test('what is typed becomes filters', () => {
  assert.deepEqual(readSearch('model:gpt-4o USER:"Ada L" Team:search status:429'), { filters: { model: 'gpt-4o', user: 'Ada L', property: 'Team:search', status: '429' }, open: null, rest: [] });
  assert.deepEqual(readSearch('property:Team:a:b hello'), { filters: { property: 'Team:a:b' }, open: null, rest: ['hello'] });
  assert.equal(readSearch(' 019F0000-0000-7000-8000-00000000000A ').open, '019f0000-0000-7000-8000-00000000000a');
});

test('JSON is laid out with every literal as it stands', () => {
  const text = '{"a":[1.0,12345678901234567890,{}],"b\\"":"x: {y}","c":[],"d":null}';
  const shown = layOut(text).map(([, piece]) => piece).join('');
  assert.equal(shown, '{\n  "a": [\n    1.0,\n    12345678901234567890,\n    {}\n  ],\n  "b\\"": "x: {y}",\n  "c": [],\n  "d": null\n}');
  assert.deepEqual(layOut(text).filter(([kind]) => kind === 'key').map(([, piece]) => piece), ['"a"', '"b\\""', '"c"', '"d"']);
  assert.equal(layOut('{"cut": '), null);
});

test('events are told apart whatever their line ends', () => {
  const text = 'event: ping\r\ndata: {"a":1}\r\n\r\n: comment\r\n\r\ndata: one\r\ndata: two\r\n\r\ndata: [DONE]';
  assert.deepEqual(eventsOf(text), [{ name: 'ping', data: '{"a":1}' }, { name: '', data: 'one\ntwo' }, { name: '', data: '[DONE]' }]);
  assert.equal(eventsOf('{"data": 1}'), null);
});
