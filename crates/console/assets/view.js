// @ts-check
// The whole state of the view is its address: filters, range, open call and tab. Pure; tested with `node --test`.

/** Fields a filter may name, in the order of their chips. */
export const FIELDS = ['model', 'provider', 'user', 'session', 'outcome', 'status', 'property', 'from', 'until'];

/** @type {Record<string, { label: string, seconds: number | null }>} */
export const RANGES = {
  '': { label: 'All time', seconds: null },
  '15m': { label: 'Last 15 minutes', seconds: 15 * 60 },
  '1h': { label: 'Last hour', seconds: 60 * 60 },
  '24h': { label: 'Last 24 hours', seconds: 24 * 60 * 60 },
  '7d': { label: 'Last 7 days', seconds: 7 * 24 * 60 * 60 },
  '30d': { label: 'Last 30 days', seconds: 30 * 24 * 60 * 60 },
};

export const TABS = ['conversation', 'cost', 'request', 'response', 'details'];

/**
 * @typedef {{ filters: Record<string, string>, range: string, open: string | null, tab: string }} View
 * @param {string} path
 * @param {string} search
 * @returns {View}
 */
export function readView(path, search) {
  const query = new URLSearchParams(search);
  /** @type {Record<string, string>} */
  const filters = {};
  for (const field of FIELDS) {
    const value = query.get(field);
    if (value) filters[field] = value;
  }
  const range = query.get('range') ?? '';
  const tab = query.get('tab') ?? '';
  return {
    filters,
    range: range in RANGES ? range : '',
    open: /^\/requests\/([^/]+)$/.exec(path)?.[1] ?? null,
    tab: TABS.includes(tab) ? tab : TABS[0],
  };
}

/**
 * The address of a view.
 * @param {View} view
 */
export function addressOf(view) {
  const query = new URLSearchParams(filterEntries(view));
  if (view.range) query.set('range', view.range);
  if (view.open && view.tab !== TABS[0]) query.set('tab', view.tab);
  const path = view.open ? `/requests/${view.open}` : '/';
  return path + (query.size ? `?${query}` : '');
}

/**
 * What the API is asked for a view.
 * @param {View} view
 * @param {number} now in ms
 */
export function questionOf(view, now) {
  const query = new URLSearchParams(filterEntries(view));
  const seconds = RANGES[view.range].seconds;
  if (seconds !== null && !query.has('from')) query.set('from', String((Math.floor(now / 1000) - seconds) * 1e6));
  return query;
}

/** @param {View} view */
function filterEntries(view) {
  return FIELDS.filter((field) => view.filters[field]).map((field) => [field, view.filters[field]]);
}

/**
 * What was typed into the search field: `model:gpt-4o user:"Ada L"`. A name that is no field is a property's; a bare id
 * is a call to open.
 * @param {string} text
 * @returns {{ filters: Record<string, string>, open: string | null, rest: string[] }}
 */
export function readSearch(text) {
  /** @type {Record<string, string>} */
  const filters = {};
  const rest = [];
  let open = null;
  for (const [word] of text.matchAll(/(?:[^\s"]|"[^"]*")+/g)) {
    const [, name, quoted] = /^([^:"]+):(.+)$/.exec(word) ?? [];
    const value = quoted?.replace(/"/g, '');
    if (name && value && FIELDS.includes(name.toLowerCase())) filters[name.toLowerCase()] = value;
    else if (name && value) filters.property = `${name}:${value}`;
    else if (/^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i.test(word)) open = word.toLowerCase();
    else rest.push(word);
  }
  return { filters, open, rest };
}
