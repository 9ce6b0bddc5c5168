// @ts-check
// The list of calls as a value: newest first, each once, with those that wait to be shown. Pure; tested with `node --test`.

/**
 * @typedef {{ id: string, cursor: string, timing: { received_at: number } } & Record<string, any>} Call
 * @typedef {{ rows: Call[], next: string | null, waiting: Call[], missed: boolean }} Calls
 */

/** Rows kept while new ones come in on top; older ones are a page away. */
const KEPT = 500;
/** Calls that may wait; beyond that the list is read anew. */
const MOST_WAITING = 500;

/** @type {Calls} */
export const NONE = { rows: [], next: null, waiting: [], missed: false };

/** @param {Call} one @param {Call} other newest first, as the store orders them */
function newestFirst(one, other) {
  return other.timing.received_at - one.timing.received_at || (one.id < other.id ? 1 : one.id > other.id ? -1 : 0);
}

/** @param {Call[]} rows @param {Call[]} more */
function merge(rows, more) {
  const byId = new Map(rows.map((row) => [row.id, row]));
  for (const row of more) byId.set(row.id, row);
  return [...byId.values()].sort(newestFirst);
}

/**
 * The first page, in place of all that was there.
 * @param {{ rows: Call[], next: string | null }} page
 * @returns {Calls}
 */
export function firstPage(page) {
  return { ...NONE, rows: page.rows, next: page.next };
}

/**
 * One more page at the end.
 * @param {Calls} calls
 * @param {{ rows: Call[], next: string | null }} page
 * @returns {Calls}
 */
export function olderPage(calls, page) {
  return { ...calls, rows: merge(calls.rows, page.rows), next: page.next };
}

/**
 * One more page of another order, behind what is there.
 * @param {Calls} calls
 * @param {{ rows: Call[], next: string | null }} page
 * @returns {Calls}
 */
export function appended(calls, page) {
  const known = new Set(calls.rows.map((row) => row.id));
  return { ...calls, rows: [...calls.rows, ...page.rows.filter((row) => !known.has(row.id))], next: page.next };
}

/**
 * Calls that were stored just now: shown at once, or made to wait while somebody reads, so that no row moves under the
 * pointer. What is older than the last row shown comes with its own page.
 * @param {Calls} calls
 * @param {Call[]} fresh
 * @param {boolean} show
 * @returns {Calls}
 */
export function arrive(calls, fresh, show) {
  const known = new Set([...calls.rows, ...calls.waiting].map((row) => row.id));
  const last = calls.rows.at(-1);
  const within = fresh.filter((row) => !known.has(row.id) && (calls.next === null || !last || newestFirst(row, last) < 0));
  if (within.length === 0) return calls;
  const waiting = merge(calls.waiting, within);
  const missed = calls.missed || waiting.length > MOST_WAITING;
  const held = { ...calls, waiting: waiting.slice(0, MOST_WAITING), missed };
  return show ? showWaiting(held) : held;
}

/**
 * Lets in what waits.
 * @param {Calls} calls
 * @returns {Calls}
 */
export function showWaiting(calls) {
  if (calls.waiting.length === 0) return calls;
  const rows = merge(calls.rows, calls.waiting);
  const kept = rows.slice(0, Math.max(KEPT, calls.rows.length));
  const next = kept.length < rows.length ? kept[kept.length - 1].cursor : calls.next;
  return { ...calls, rows: kept, next, waiting: [] };
}

/**
 * A first page that was read again, after the feed had been away. Where it does not reach down to rows that are known,
 * there is a gap: the list has to be read anew.
 * @param {Calls} calls
 * @param {{ rows: Call[], next: string | null }} page
 * @param {boolean} show
 * @returns {Calls}
 */
export function catchUp(calls, page, show) {
  const known = new Set(calls.rows.map((row) => row.id));
  const joins = page.next === null || page.rows.some((row) => known.has(row.id));
  if (joins) return arrive(calls, page.rows, show);
  return show || calls.rows.length === 0 ? firstPage(page) : { ...calls, missed: true };
}
