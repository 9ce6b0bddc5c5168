// Run with: node --test crates/console/assets-tests/
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { bytes, compact, count, duration, exactMoney, fullMoment, moment, money, percent } from '../assets/format.js';

test('money is rounded for reading and never to nothing', () => {
  for (const [text, shown] of [
    ['0', '$0'],
    ['0.000', '$0'],
    ['0.5', '$0.50'],
    ['0.000255', '$0.000255'],
    ['0.00025549', '$0.0002555'],
    ['0.000000000000000001', '$0.000000000000000001'],
    ['0.99999', '$1.00'],
    ['0.099996', '$0.10'],
    ['1', '$1.00'],
    ['1.005', '$1.01'],
    ['1.004999', '$1.00'],
    ['999.995', '$1,000.00'],
    ['1234567.891', '$1,234,567.89'],
    ['-0.000255', '−$0.000255'],
    ['-12.5', '−$12.50'],
    ['123456789012345678901.5', '$123,456,789,012,345,678,901.50'],
  ]) assert.equal(money(text), shown, text);
});

test('exact money keeps every digit', () => {
  assert.equal(exactMoney('1234.000000000000000001'), '$1,234.000000000000000001');
  assert.equal(exactMoney('40000'), '$40,000');
  assert.equal(exactMoney('-0.15'), '−$0.15');
});

test('counts', () => {
  assert.equal(count(1234567), '1,234,567');
  assert.equal(count('7.25'), '7.25');
  assert.equal(count('1234.123456'), '1,234.123456');
  for (const [value, shown] of [[0, '0'], [9_999, '9,999'], [12_345, '12.3k'], [999_499, '999k'], [999_500, '1.00M'], [1_204_000, '1.20M'], [99_960_000, '100M'], [5e9, '5.00B'], [2e15, '2000T']]) {
    assert.equal(compact(value), shown, String(value));
  }
});

test('spans have about three digits and the right unit', () => {
  for (const [us, shown] of [
    [null, '–'], [undefined, '–'], [0, '0 µs'], [999, '999 µs'], [1000, '1.00 ms'], [9_996, '10.0 ms'], [12_340, '12.3 ms'], [999_499, '999 ms'], [999_500, '1.00 s'],
    [8_230_000, '8.23 s'], [59_949_999, '59.9 s'], [60_000_000, '1 m 00 s'], [125_400_000, '2 m 05 s'], [3_720_000_000, '1 h 02 m'],
  ]) assert.equal(duration(us), shown, String(us));
});

test('a part is never nothing and never all unless it is', () => {
  assert.deepEqual([percent(0, 100), percent(1, 100_000), percent(99_999, 100_000), percent(5, 5), percent(1, 2), percent(0, 0)], ['0%', '1%', '99%', '100%', '50%', '']);
});

test('lengths', () => {
  assert.deepEqual([bytes(0), bytes(999), bytes(1000), bytes(999_499), bytes(4_194_304)], ['0 B', '999 B', '1.00 kB', '999 kB', '4.19 MB']);
});

test('moments keep their microseconds', () => {
  const at = Date.UTC(2026, 1, 3, 4, 5, 6) * 1000 + 70_809;
  assert.equal(fullMoment(at, true), '2026-02-03 04:05:06.070809 UTC');
  assert.deepEqual(moment(at, true, at + 3600e6), { day: '', clock: '04:05:06', millis: '.070' });
  assert.equal(moment(at, true, at + 86_400e6).day, 'Feb 3');
  assert.equal(moment(at, true, at + 400 * 86_400e6).day, 'Feb 3 2026');
});
