// @ts-check
import { html, render, useCallback, useEffect, useRef, useState } from './html.js';
import { Drawer } from './drawer.js';
import { Failed, FirstSteps, NothingMatches } from './empty.js';
import { fullMoment } from './format.js';
import { Chips, Header } from './header.js';
import { Help } from './help.js';
import { useKeys } from './keys.js';
import { useList } from './list.js';
import { outcomeOf } from './outcome.js';
import { keepUtc, prefersUtc, switchTheme } from './prefs.js';
import { Search } from './search.js';
import { Table, Totals } from './table.js';
import { TABS, addressOf, readView } from './view.js';

/** The view is the address: read from it, changed by changing it. */
function useView() {
  const [view, setView] = useState(() => readView(location.pathname, location.search));
  useEffect(() => {
    const onPop = () => setView(readView(location.pathname, location.search));
    addEventListener('popstate', onPop);
    return () => removeEventListener('popstate', onPop);
  }, []);
  const go = useCallback((/** @type {any} */ change, replace = false) => {
    setView((held) => {
      const next = { ...held, ...change };
      const address = addressOf(next);
      if (address !== location.pathname + location.search) history[replace ? 'replaceState' : 'pushState'](null, '', address);
      return next;
    });
  }, []);
  return /** @type {const} */ ([view, go]);
}

/** Says when the end of the list comes near. */
function useEnd(/** @type {any} */ mark, /** @type {any} */ root, /** @type {() => unknown} */ reached) {
  const held = useRef(reached);
  held.current = reached;
  useEffect(() => {
    if (!mark.current) return undefined;
    const seen = new IntersectionObserver((entries) => entries[0].isIntersecting && held.current(), { root: root.current, rootMargin: '600px' });
    seen.observe(mark.current);
    return () => seen.disconnect();
  });
}

const chipText = (/** @type {boolean} */ utc) => (/** @type {string} */ field, /** @type {string} */ value) => {
  if (field === 'outcome') return outcomeOf(value).label;
  if (field === 'from' || field === 'until') return fullMoment(Number(value), utc).slice(0, 19);
  return value;
};

function App() {
  const [view, go] = useView();
  const [live, setLive] = useState(true);
  const [utc, setUtc] = useState(prefersUtc);
  const [help, setHelp] = useState(false);
  const [current, setCurrent] = useState(/** @type {string | null} */ (view.open));
  const searchInput = useRef(/** @type {HTMLInputElement | null} */ (null));
  const scroller = useRef(/** @type {HTMLElement | null} */ (null));
  const end = useRef(/** @type {HTMLElement | null} */ (null));
  const hovered = useRef(false);

  const atTop = () => (scroller.current?.scrollTop ?? 0) < 8;
  const mayShow = () => atTop() && !hovered.current && !current && !view.open;
  const list = useList(view, live, mayShow);
  const { rows, next, waiting, missed } = list.calls;
  // A failed page is asked for again by hand only.
  useEnd(end, scroller, () => list.error || list.loadOlder());

  const open = (/** @type {string} */ id, replace = false) => {
    setCurrent(id);
    go({ open: id }, replace);
  };
  const close = () => {
    go({ open: null });
    const link = view.open && /** @type {HTMLElement | null} */ (document.querySelector(`[data-id="${CSS.escape(view.open)}"] a`));
    if (link) link.focus({ preventScroll: true });
  };
  const step = (/** @type {number} */ by) => {
    const at = rows.findIndex((row) => row.id === (view.open ?? current));
    const to = rows[at < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, at + by))];
    if (!to) return;
    setCurrent(to.id);
    document.querySelector(`[data-id="${to.id}"]`)?.scrollIntoView({ block: 'nearest' });
    if (view.open) go({ open: to.id }, true);
  };
  const pick = (/** @type {string} */ field, /** @type {string} */ value) => go({ filters: { ...view.filters, [field]: value }, open: null });
  const filter = (/** @type {Record<string, string>} */ filters) => go({ filters: { ...view.filters, ...filters } });
  const unfilter = (/** @type {string} */ field) => go({ filters: Object.fromEntries(Object.entries(view.filters).filter(([name]) => name !== field)) });
  const clear = () => go({ filters: {}, range: '' });
  const toggleUtc = () => setUtc((held) => (keepUtc(!held), !held));
  const letIn = () => list.letIn().then(() => scroller.current?.scrollTo(0, 0));
  const showNew = () => {
    setCurrent(null);
    letIn();
  };
  const onLeave = () => {
    hovered.current = false;
    if (waiting.length > 0 && !missed && mayShow()) letIn();
  };

  useKeys({
    j: () => step(1),
    k: () => step(-1),
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    Enter: () => current && open(current),
    Escape: () => (view.open ? close() : setCurrent(null)),
    '/': () => searchInput.current?.focus(),
    '?': () => setHelp(true),
    t: () => view.open && go({ tab: TABS[(TABS.indexOf(view.tab) + 1) % TABS.length] }, true),
    u: toggleUtc,
    d: switchTheme,
    l: () => setLive((held) => !held),
  });

  const filtered = Object.keys(view.filters).length > 0 || view.range !== '';
  const empty = rows.length === 0 && !list.loading && !list.error;
  return html`
    <${Header} view=${view} feed=${list.feed} live=${live} utc=${utc} onRange=${(/** @type {string} */ range) => go({ range })} onLive=${() => setLive(!live)} onUtc=${toggleUtc}
      onTheme=${switchTheme} onHelp=${() => setHelp(true)} onHome=${() => go({ filters: {}, range: '', open: null })}
      search=${html`<${Search} rows=${rows} inputRef=${searchInput} onFilters=${filter} onOpen=${open} />`} />
    <main class=${`page ${view.open ? 'beside' : ''}`} ref=${scroller}>
      <h1 class="visually-hidden">Requests</h1>
      <div class="summary"><${Totals} totals=${list.totals} stale=${list.stale} />
        <${Chips} filters=${view.filters} onRemove=${unfilter} onClear=${clear} nameOf=${chipText(utc)} /></div>
      <div class="pill-line" aria-live="polite">${(waiting.length > 0 || missed) && html`<button type="button" class="pill" onClick=${showNew}>${missed ? 'Many new · reload' : `${waiting.length} new`} ↑</button>`}</div>
      ${list.error && rows.length === 0 && html`<${Failed} error=${list.error} onRetry=${list.reload} />`}
      ${empty && (filtered ? html`<${NothingMatches} onClear=${clear} />` : html`<${FirstSteps} />`)}
      ${rows.length > 0 && html`<div class=${list.loading && list.stale ? 'stale' : ''} onMouseEnter=${() => (hovered.current = true)} onMouseLeave=${onLeave}>
        <${Table} rows=${rows} view=${view} current=${current} utc=${utc} freshIds=${list.freshIds} onOpen=${open} onPick=${pick} /></div>
        <footer class="end" ref=${end}>${list.error ? html`<span role="alert">${list.error.message}</span> <button type="button" class="quiet" onClick=${list.loadOlder}>Try again</button>` : next ? html`<button type="button" class="quiet" disabled=${list.loading} onClick=${list.loadOlder}>${list.loading ? 'Loading…' : 'Load older'}</button>` : html`<span class="muted">That is all.</span>`}</footer>`}
    </main>
    ${view.open && html`<${Drawer} view=${view} utc=${utc} onClose=${close} onStep=${step} onTab=${(/** @type {string} */ tab) => go({ tab }, true)} onPick=${pick} />`}
    ${help && html`<${Help} onClose=${() => setHelp(false)} />`}`;
}

const root = document.getElementById('app');
if (root) {
  root.replaceChildren();
  render(html`<${App} />`, root);
}
