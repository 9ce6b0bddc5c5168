// @ts-check
// Figures on axes: short. Pure; tested with `node --test`.
import { compact, duration } from './format.js';

/** @param {number} value in USD */
export function axisMoney(value) {
  if (value === 0) return '$0';
  if (value >= 10_000) return `$${compact(Math.round(value))}`;
  return `$${value >= 1 ? Number(value.toFixed(2)) : plain(value)}`;
}

/** Three digits of a fraction without an exponent. @param {number} value */
function plain(value) {
  const places = Math.min(18, Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value)))));
  return value.toFixed(places).replace(/0+$/, '').replace(/\.$/, '');
}

/** @param {number} us */
export function axisSpan(us) {
  return us === 0 ? '0' : duration(us);
}
