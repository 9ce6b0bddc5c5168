import assert from 'node:assert/strict';
import { test } from 'node:test';

import { axisMoney, axisSpan } from '../assets/axis.js';
import { aligned, buckets, change, huesOf, pathOf, stacked, ticks } from '../assets/scale.js';
import { stackOf, startsOf } from '../assets/series.js';

test('ticks are round and reach over the greatest', () => {
  for (const most of [0.000037, 1, 7, 99, 1234567]) {
    const all = ticks(most);
    assert.ok(all.at(-1) >= most * (1 - 1e-9) && all.length >= 3 && all.length <= 6, `${most}: ${all}`);
  }
  assert.deepEqual(ticks(0), [0, 1]);
  assert.deepEqual(ticks(NaN), [0, 1]);
});

test('buckets begin at full steps of local time and are bounded', () => {
  assert.deepEqual(buckets(1_500, 3_100, 1_000), [1_000, 2_000, 3_000]);
  assert.deepEqual(buckets(1_500, 2_600, 1_000, 400), [600, 1_600]);
  assert.equal(buckets(0, 1e15, 1).length, 2_001);
  assert.equal(buckets(5, 5, 10).length, 1);
});

test('points find their buckets and stack up', () => {
  const values = aligned([1, 2, 3], [{ at: 3, n: 7 }, { at: 1, n: 5 }], (point) => point.n);
  assert.deepEqual(values, [5, null, 7]);
  assert.deepEqual(stacked([values, [1, 1, 1]])[1], [{ low: 5, high: 6 }, { low: 0, high: 1 }, { low: 7, high: 8 }]);
  assert.equal(pathOf([{ x: 0, y: 1 }, null, { x: 2, y: 3 }, { x: 3, y: 3 }]), 'M0.0 1.0h0.01M2.0 3.0L3.0 3.0');
});

test('a name keeps its colour, and no two of a chart share one', () => {
  const hues = huesOf(['a', 'b', 'c'], () => 'hue-7');
  assert.deepEqual(hues, ['hue-7', 'hue-0', 'hue-1']);
});

test('what the greatest values leave is shown as others, and all add up', () => {
  const data = { from: 0, until: 20, step_us: 10, points: [{ at: 0, cost: '5' }, { at: 10, cost: '1' }],
    series: { top: [{ key: 'a', points: [{ at: 0, cost: '3' }] }, { key: null, points: [{ at: 10, cost: '1' }] }] } };
  const starts = startsOf(data, 0);
  const series = stackOf(data, starts, (point) => Number(point.cost), (key) => key ?? 'none');
  assert.deepEqual(series.map(({ label, values }) => [label, values]), [['a', [3, null]], ['none', [null, 1]], ['Others', [2, 0]]]);
});

test('changes are told as people do', () => {
  assert.deepEqual([change(150, 100)?.text, change(95, 100)?.text, change(5_000, 100)?.text, change(1, 0), change(null, 1)], ['+50%', '−5.0%', '×50.0', null, null]);
});

test('figures on axes never look like nothing', () => {
  assert.deepEqual([0, 0.00025, 0.0000001234, 1.5, 12_000].map(axisMoney), ['$0', '$0.00025', '$0.000000123', '$1.5', '$12.0k']);
  assert.equal(axisSpan(0), '0');
});
