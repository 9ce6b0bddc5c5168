// @ts-check
// Figures as people read them. Pure: no clock, no page, no locale; tested with `node --test`.

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** Significant digits of an amount below one dollar. */
const SIGNIFICANT = 4;

/**
 * A decimal string of US dollars, rounded for reading: cents from one dollar on, four significant digits below it. What
 * is not nothing never looks like nothing. No floats: the text is worked on digit by digit.
 * @param {string} text as the API writes it, such as "0.000255"
 */
export function money(text) {
  const sign = text.startsWith('-') ? '−' : '';
  const [whole, fraction = ''] = text.replace('-', '').split('.');
  if (/[1-9]/.test(whole)) return sign + dollars(whole, fraction, 2);
  const zeros = fraction.search(/[1-9]/);
  if (zeros < 0) return '$0';
  return sign + dollars('0', fraction, Math.max(2, zeros + SIGNIFICANT));
}

/**
 * @param {string} whole
 * @param {string} fraction
 * @param {number} decimals
 */
function dollars(whole, fraction, decimals) {
  const kept = BigInt(whole + fraction.slice(0, decimals).padEnd(decimals, '0'));
  const rounded = kept + (fraction.charAt(decimals) >= '5' ? 1n : 0n);
  const digits = rounded.toString().padStart(decimals + 1, '0');
  const units = digits.slice(0, -decimals);
  const rest = digits.slice(-decimals).replace(/0+$/, '').padEnd(2, '0');
  return `$${thousands(units)}.${rest}`;
}

/**
 * The same amount to its last digit.
 * @param {string} text
 */
export function exactMoney(text) {
  const [whole, fraction] = text.replace('-', '').split('.');
  return `${text.startsWith('-') ? '−' : ''}$${thousands(whole)}${fraction ? `.${fraction}` : ''}`;
}

/** @param {string} digits */
function thousands(digits) {
  return digits.replace(/\B(?=(\d{3})+$)/g, ',');
}

/**
 * A count, or a decimal quantity as text, in full.
 * @param {number | string} count
 */
export function count(count) {
  const [whole, fraction] = String(count).split('.');
  return thousands(whole) + (fraction ? `.${fraction}` : '');
}

/**
 * A large count in three or four digits: 1.24M.
 * @param {number} count
 */
export function compact(count) {
  for (const [size, letter] of /** @type {[number, string][]} */ ([[1e12, 'T'], [1e9, 'B'], [1e6, 'M'], [1e3, 'k']])) {
    // 999,500 and up would round to 1000k.
    if (count < size * 0.9995 || (size === 1e3 && count < 10_000)) continue;
    const units = count / size;
    return units.toFixed(units < 9.995 ? 2 : units < 99.95 ? 1 : 0) + letter;
  }
  return thousands(String(count));
}

/**
 * A span of microseconds, with about three digits.
 * @param {number | null | undefined} us
 */
export function duration(us) {
  if (us === null || us === undefined) return '–';
  if (us < 1000) return `${us} µs`;
  if (us < 999_500) return `${digits3(us / 1000)} ms`;
  if (us < 59_950_000) return `${digits3(us / 1e6)} s`;
  const seconds = Math.round(us / 1e6);
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return hours > 0 ? `${hours} h ${pad(minutes)} m` : `${minutes} m ${pad(rest)} s`;
}

/** @param {number} value below 1000 */
function digits3(value) {
  return value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0);
}

/**
 * A length in bytes.
 * @param {number} length
 */
export function bytes(length) {
  if (length < 1000) return `${length} B`;
  return length < 999_500 ? `${digits3(length / 1e3)} kB` : `${digits3(length / 1e6)} MB`;
}

/**
 * A part of a whole in percent; a part that is something is never 0 %, one that is not all is never 100 %.
 * @param {number} part
 * @param {number} whole
 */
export function percent(part, whole) {
  if (whole === 0) return '';
  const rounded = Math.round((100 * part) / whole);
  const honest = part === 0 || part === whole ? rounded : Math.min(99, Math.max(1, rounded));
  return `${honest}%`;
}

/** @param {number} value @param {number} [width] */
function pad(value, width = 2) {
  return String(value).padStart(width, '0');
}

/**
 * @typedef {{ year: number, month: number, day: number, clock: string, micros: string }} Parts
 * @param {number} micros since 1970, UTC
 * @param {boolean} utc else in the zone of the browser
 * @returns {Parts}
 */
function parts(micros, utc) {
  const date = new Date(Math.floor(micros / 1000));
  const get = utc
    ? [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate(), date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()]
    : [date.getFullYear(), date.getMonth(), date.getDate(), date.getHours(), date.getMinutes(), date.getSeconds()];
  const [year, month, day, hour, minute, second] = get;
  const below = ((micros % 1e6) + 1e6) % 1e6;
  return { year, month, day, clock: `${pad(hour)}:${pad(minute)}:${pad(second)}`, micros: pad(below, 6) };
}

/**
 * A moment in a list: the clock to the millisecond, and the day where it is not today's.
 * @param {number} micros
 * @param {boolean} utc
 * @param {number} now in µs
 * @returns {{ day: string, clock: string, millis: string }}
 */
export function moment(micros, utc, now) {
  const [then, today] = [parts(micros, utc), parts(now, utc)];
  const sameYear = then.year === today.year;
  const sameDay = sameYear && then.month === today.month && then.day === today.day;
  const day = sameDay ? '' : `${MONTHS[then.month]} ${then.day}${sameYear ? '' : ` ${then.year}`}`;
  return { day, clock: then.clock, millis: `.${then.micros.slice(0, 3)}` };
}

/**
 * A moment in full, to the microsecond.
 * @param {number} micros
 * @param {boolean} utc
 */
export function fullMoment(micros, utc) {
  const { year, month, day, clock, micros: below } = parts(micros, utc);
  return `${year}-${pad(month + 1)}-${pad(day)} ${clock}.${below}${utc ? ' UTC' : ''}`;
}
