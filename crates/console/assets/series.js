// @ts-check
// Answers of `/api/series` as charts.
import { aligned, buckets, huesOf } from './scale.js';
import { hueOf } from './outcome.js';

const OTHERS = 'hue-none';

/** The starts of an answer's buckets. @param {any} data @param {number} offset minutes of local time ahead of UTC */
export function startsOf(data, offset) {
  return buckets(data.from, data.until, data.step_us, offset * 60e6);
}

/**
 * The greatest values as series, and what is left of the whole as one more.
 * @param {any} data with `series`
 * @param {number[]} starts
 * @param {(point: any) => number} pick
 * @param {(key: string | null) => string} nameOf
 * @param {(key: string) => void} [onPick]
 */
export function stackOf(data, starts, pick, nameOf, onPick) {
  const top = data.series.top.filter((/** @type {any} */ one) => one.points.some((/** @type {any} */ point) => pick(point) > 0));
  const hues = huesOf(top.map((/** @type {any} */ { key }) => key), hueOf);
  const series = top.map((/** @type {any} */ { key, points }, /** @type {number} */ at) => ({
    key, label: nameOf(key), hue: key === null ? OTHERS : hues[at], values: aligned(starts, points, pick), pick: onPick && key !== null ? () => onPick(key) : undefined,
  }));
  const whole = aligned(starts, data.points, pick);
  const left = whole.map((value, at) => (value === null ? null : value - series.reduce((/** @type {number} */ sum, /** @type {any} */ { values }) => sum + (values[at] ?? 0), 0)));
  const most = Math.max(0, ...whole.map((value) => value ?? 0));
  // What rounding leaves is no series.
  if (left.some((value) => (value ?? 0) > most * 1e-9)) series.push({ key: '\0others', label: 'Others', hue: OTHERS, values: left, pick: undefined });
  return series;
}
