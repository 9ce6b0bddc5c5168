// @ts-check
// The whole state of the view is its address: page, period, filter, what is open and what the page itself adds. Pure;
// tested with `node --test`.
import { condition } from './query.js';

/** Pages by the first part of their path, in the order of the rail. */
export const PAGES = ['', 'requests', 'sessions', 'users', 'properties', 'prompts', 'providers', 'cache', 'limits', 'why', 'query', 'health', 'settings', 'compare'];

/** @type {Record<string, { label: string, short: string, seconds: number | null }>} */
export const RANGES = {
  '15m': { label: 'Last 15 minutes', short: '15m', seconds: 15 * 60 },
  '1h': { label: 'Last hour', short: '1h', seconds: 60 * 60 },
  '6h': { label: 'Last 6 hours', short: '6h', seconds: 6 * 60 * 60 },
  '24h': { label: 'Last 24 hours', short: '24h', seconds: 24 * 60 * 60 },
  '7d': { label: 'Last 7 days', short: '7d', seconds: 7 * 24 * 60 * 60 },
  '30d': { label: 'Last 30 days', short: '30d', seconds: 30 * 24 * 60 * 60 },
  '90d': { label: 'Last 90 days', short: '90d', seconds: 90 * 24 * 60 * 60 },
  all: { label: 'All time', short: 'all', seconds: null },
};
export const DEFAULT_RANGE = '24h';

export const TABS = ['conversation', 'cost', 'request', 'response', 'details', 'notes'];

/** Filters of earlier addresses, and of what others link to: each becomes a condition. */
const OLD_FILTERS = ['model', 'provider', 'user', 'session', 'outcome', 'status'];

/**
 * @typedef {object} View
 * @property {string} page one of PAGES
 * @property {string | null} id what the page is about: a session, a user, a property
 * @property {string} range one of RANGES
 * @property {number | null} from in µs; with `until` in place of a range
 * @property {number | null} until
 * @property {string} q the filter
 * @property {string | null} open the request in the drawer
 * @property {string} tab of the drawer
 * @property {Record<string, string>} p what the page adds: sort order, columns, dimension
 */

/**
 * @param {string} path
 * @param {string} search
 * @returns {View}
 */
export function readView(path, search) {
  const query = new URLSearchParams(search);
  const [first = '', ...rest] = path.split('/').slice(1).map(decoded);
  const page = PAGES.includes(first) ? first : '';
  const below = rest.join('/') || null;
  const known = new Set(['range', 'from', 'until', 'q', 'open', 'tab', 'property', ...OLD_FILTERS]);
  const old = OLD_FILTERS.flatMap((field) => (query.get(field) ? [condition(field, query.get(field) ?? '')] : []));
  const [name, ...value] = query.get('property')?.split(':') ?? [];
  if (value.length) old.push(condition(`prop.${name}`, value.join(':')));
  const [from, until] = [moment(query.get('from')), moment(query.get('until'))];
  const tab = query.get('tab') ?? '';
  return {
    page,
    id: page === 'requests' ? null : below,
    range: (query.get('range') ?? '') in RANGES ? query.get('range') ?? '' : DEFAULT_RANGE,
    from,
    until,
    q: [...old, query.get('q') ?? ''].filter(Boolean).join(' '),
    open: page === 'requests' && below ? below : query.get('open'),
    tab: TABS.includes(tab) ? tab : TABS[0],
    p: Object.fromEntries([...query].filter(([name]) => !known.has(name))),
  };
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** @param {string | null} text */
function moment(text) {
  const micros = Number(text ?? NaN);
  return text && Number.isSafeInteger(micros) ? micros : null;
}

/** The address of a view. @param {View} view */
export function addressOf(view) {
  const query = new URLSearchParams();
  if (view.from !== null) query.set('from', String(view.from));
  if (view.until !== null) query.set('until', String(view.until));
  if (view.from === null && view.until === null && view.range !== DEFAULT_RANGE) query.set('range', view.range);
  if (view.q) query.set('q', view.q);
  for (const [name, value] of Object.entries(view.p)) if (value) query.set(name, value);
  if (view.open && view.page !== 'requests') query.set('open', view.open);
  if (view.open && view.tab !== TABS[0]) query.set('tab', view.tab);
  const below = view.page === 'requests' ? view.open : view.id;
  const path = `/${view.page}${below ? `/${encodeURIComponent(below)}` : ''}`;
  return path + (query.size ? `?${query}` : '');
}

/** The view on another page: period and filter stay, what belonged to the page goes. @param {View} view @param {string} page @param {Partial<View>} [change] @returns {View} */
export function onPage(view, page, change = {}) {
  return { ...view, page, id: null, open: null, tab: TABS[0], p: {}, ...change };
}

/**
 * What the API is asked for a view. A relative range becomes a moment, so that all parts of a page ask about the same rows.
 * @param {View} view
 * @param {number} now in ms
 * @param {Record<string, string | number | null>} [more]
 */
export function questionOf(view, now, more = {}) {
  const query = new URLSearchParams();
  const [from, until] = periodOf(view, now);
  if (from !== null) query.set('from', String(from));
  if (until !== null) query.set('until', String(until));
  if (view.q) query.set('q', view.q);
  for (const [name, value] of Object.entries(more)) if (value !== null && value !== '') query.set(name, String(value));
  return query;
}

/** From when until when, in µs; null is open. @param {View} view @param {number} now in ms @returns {[number | null, number | null]} */
export function periodOf(view, now) {
  if (view.from !== null || view.until !== null) return [view.from, view.until];
  const { seconds } = RANGES[view.range];
  return [seconds === null ? null : (Math.floor(now / 1000) - seconds) * 1e6, null];
}
