import assert from 'node:assert/strict';
import { test } from 'node:test';

import { eventsOf, layOut } from '../assets/json.js';
import { addressOf, onPage, periodOf, questionOf, readView } from '../assets/view.js';

const read = (address) => readView(...address.split(/(?=\?)/).concat('').slice(0, 2));
const plain = { page: '', id: null, range: '24h', from: null, until: null, q: '', open: null, tab: 'conversation', p: {} };

test('a view survives its address', () => {
  for (const view of [
    plain,
    { ...plain, page: 'requests', q: 'model:"a/b c" -prop.Team:x', range: '7d', open: '0190-abc', tab: 'cost', p: { sort: '-cost' } },
    { ...plain, page: 'sessions', id: 'a/b?c#d %', from: 5, until: 9, open: '0190', p: { show: 'flame' } },
    { ...plain, page: 'users', id: 'ada@example.com', range: 'all' },
  ]) assert.deepEqual(read(addressOf(view)), view);
  assert.equal(addressOf(plain), '/');
  assert.equal(addressOf({ ...plain, tab: 'cost' }), '/');
  assert.deepEqual(read('/elsewhere?range=never&tab=none&from=x&q='), plain);
});

test('addresses of earlier days become conditions', () => {
  assert.equal(read('/requests?model=gpt-4o&user=Ada+L&property=Team:a:b&q=x').q, 'model:gpt-4o user:"Ada L" prop.Team:a:b x');
});

test('another page keeps period and filter, and drops the rest', () => {
  const view = { ...plain, page: 'requests', q: 'user:ada', range: '7d', open: 'x', tab: 'cost', p: { sort: '-cost' } };
  assert.deepEqual(onPage(view, 'users', { id: 'ada' }), { ...plain, page: 'users', id: 'ada', q: 'user:ada', range: '7d' });
});

test('a relative range is a moment to the API, and an absolute one wins', () => {
  const now = Date.UTC(2026, 0, 2);
  const view = { ...plain, q: 'user:ada' };
  assert.equal(String(questionOf(view, now, { top: 3, none: null, empty: '' })), `from=${Date.UTC(2026, 0, 1) * 1000}&q=user%3Aada&top=3`);
  assert.deepEqual(periodOf({ ...view, from: 5 }, now), [5, null]);
  assert.deepEqual(periodOf({ ...view, range: 'all' }, now), [null, null]);
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
