// @ts-check
// The shell: which page is shown, what all pages share, and the keys of all of them.
import { html, render, useCallback, useEffect, useMemo, useRef, useState } from './html.js';
import { Drawer } from './drawer.js';
import { Header } from './header.js';
import { Help } from './help.js';
import { useAsk } from './ask.js';
import { useKeys } from './keys.js';
import { NAVIGATION, Navigation } from './navigation.js';
import { Palette } from './palette.js';
import { Period, moved } from './period.js';
import { keepUtc, prefersUtc, switchTheme } from './prefs.js';
import { withCondition } from './query.js';
import { Chips, QueryBar } from './querybar.js';
import { TABS, addressOf, onPage, questionOf, readView } from './view.js';
import { Cache } from './pages/cache.js';
import { Compare } from './pages/compare.js';
import { HealthPage } from './pages/health.js';
import { Limits } from './pages/limits.js';
import { Overview } from './pages/overview.js';
import { Prompts } from './pages/prompts.js';
import { Properties } from './pages/properties.js';
import { Providers } from './pages/providers.js';
import { Query } from './pages/query.js';
import { Requests } from './pages/requests.js';
import { Sessions } from './pages/sessions.js';
import { Settings } from './pages/settings.js';
import { Users } from './pages/users.js';
import { Why } from './pages/why.js';

/** @type {Record<string, (props: { site: any }) => any>} */
const PAGE = {
  '': Overview, requests: Requests, sessions: Sessions, users: Users, properties: Properties, prompts: Prompts, providers: Providers,
  cache: Cache, limits: Limits, why: Why, query: Query, health: HealthPage, settings: Settings, compare: Compare,
};

/** In live mode, pages of sums are asked anew so often. */
const BEAT_MS = 30_000;

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
      const next = { ...held, ...(typeof change === 'function' ? change(held) : change) };
      const address = addressOf(next);
      if (address !== location.pathname + location.search) history[replace ? 'replaceState' : 'pushState'](null, '', address);
      return next;
    });
  }, []);
  return /** @type {const} */ ([view, go]);
}

/** The moment that relative ranges count from. It moves when somebody asks anew, and in live mode from time to time. */
function useNow(/** @type {any} */ view, /** @type {boolean} */ live) {
  const [now, setNow] = useState(Date.now);
  const refresh = useCallback(() => setNow(Date.now()), []);
  useEffect(refresh, [view.range, view.page]);
  useEffect(() => {
    if (!live) return undefined;
    const timer = setInterval(() => document.hidden || refresh(), BEAT_MS);
    return () => clearInterval(timer);
  }, [live]);
  return /** @type {const} */ ([now, refresh]);
}

function App() {
  const [view, go] = useView();
  const [live, setLive] = useState(true);
  const [feed, setFeed] = useState('timed');
  const [utc, setUtc] = useState(prefersUtc);
  const [over, setOver] = useState(/** @type {'help' | 'palette' | null} */ (null));
  const [marked, setMarked] = useState(/** @type {string | null} */ (null));
  const [now, refresh] = useNow(view, live);
  const searchInput = useRef(/** @type {HTMLInputElement | null} */ (null));
  const scroller = useRef(/** @type {HTMLElement | null} */ (null));
  // A page with rows says here how j, k and Enter move in them.
  const stepper = useRef(/** @type {{ step: (by: number) => void, enter: () => void, leave: () => boolean, current: () => string | null } | null} */ (null));

  useEffect(() => {
    const place = NAVIGATION.find(({ page }) => page === view.page)?.label ?? 'Compare';
    document.title = `${view.id ?? place} · Tachograph`;
  }, [view.page, view.id]);
  useEffect(() => scroller.current?.scrollTo(0, 0), [view.page, view.id]);
  useEffect(() => setFeed('timed'), [view.page]);

  const keys = useAsk('/api/keys').data?.keys;
  const keyNames = useMemo(() => new Map((keys ?? []).map((/** @type {any} */ { id, name, hint }) => [id, `${name} …${hint}`])), [keys]);

  const offset = utc ? 0 : -new Date(now).getTimezoneOffset();
  const site = useMemo(() => ({
    view, go, utc, live, now, refresh, setFeed, scroller, stepper, marked,
    /** Minutes that local time is ahead of UTC. */
    offset,
    /** What the API is asked for this view, with more. */
    ask: (/** @type {any} */ more = {}, /** @type {any} */ change = {}) => questionOf({ ...view, ...change }, now, more),
    pick: (/** @type {string} */ field, /** @type {string} */ value, negated = false) => go({ q: withCondition(view.q, field, value, negated), ...(view.page === 'requests' ? { open: null } : {}) }),
    /** The requests of this view, and with one condition more. */
    requestsOf: (/** @type {string} */ field, /** @type {string} */ value, q = view.q) => onPage({ ...view, q: withCondition(q, field, value) }, 'requests'),
    /** What people call a value of a field: a key has a name, all else is its own. */
    nameOf: (/** @type {string} */ field, /** @type {string} */ value) => (field === 'key' && keyNames.get(value)) || value,
    href: addressOf,
    set: (/** @type {any} */ more, replace = false) => go((/** @type {any} */ held) => ({ p: { ...held.p, ...more } }), replace),
    zoom: (/** @type {number} */ from, /** @type {number} */ until) => go({ from, until }),
    open: (/** @type {string} */ id, replace = false) => go({ open: id }, replace),
  }), [view, utc, live, now, marked, offset, keyNames]);

  const close = () => {
    const link = view.open && /** @type {HTMLElement | null} */ (document.querySelector(`[data-id="${CSS.escape(view.open)}"] a`));
    go({ open: null });
    if (link) link.focus({ preventScroll: true });
  };
  const toggleUtc = () => setUtc((held) => (keepUtc(!held), !held));
  const toggleLive = () => setLive((held) => !held);
  const query = (/** @type {string} */ q) => go({ q, ...(view.page === 'requests' ? { open: null } : {}) });
  const mark = (/** @type {string | null | undefined} */ id) => {
    if (!id) return;
    if (!marked || marked === id) return setMarked(marked === id ? null : id);
    setMarked(null);
    go(onPage(view, 'compare', { p: { a: marked, b: id } }));
  };

  useKeys({
    j: () => stepper.current?.step(1),
    k: () => stepper.current?.step(-1),
    ArrowDown: () => stepper.current?.step(1),
    ArrowUp: () => stepper.current?.step(-1),
    Enter: () => stepper.current?.enter(),
    Escape: () => (view.open ? close() : stepper.current?.leave()),
    '/': () => searchInput.current?.focus(),
    '?': () => setOver('help'),
    'Mod-k': () => setOver((held) => (held ? null : 'palette')),
    '[': () => go((/** @type {any} */ held) => moved(held, -1)),
    ']': () => go((/** @type {any} */ held) => moved(held, 1)),
    t: () => view.open && go({ tab: TABS[(TABS.indexOf(view.tab) + 1) % TABS.length] }, true),
    c: () => mark(view.open ?? stepper.current?.current()),
    u: toggleUtc,
    d: switchTheme,
    l: toggleLive,
    r: refresh,
    ...Object.fromEntries(NAVIGATION.map(({ key, page }) => [`g ${key}`, () => go(onPage(view, page))])),
  });

  const Shown = PAGE[view.page];
  const actions = [
    { label: 'Dark or light', run: switchTheme },
    { label: utc ? 'Show local time' : 'Show UTC', run: toggleUtc },
    { label: live ? 'Pause live mode' : 'Start live mode', run: toggleLive },
    { label: 'Keys and help', run: () => setOver('help') },
    { label: 'Clear the filter', run: () => query('') },
  ];
  return html`
    <${Navigation} view=${view} onGo=${go} />
    <div class="body-column">
      <${Header} feed=${feed} live=${live} utc=${utc} beat=${now} onLive=${toggleLive} onUtc=${toggleUtc} onTheme=${switchTheme} onHelp=${() => setOver('help')}
        search=${html`<${QueryBar} view=${view} inputRef=${searchInput} onQuery=${query} onOpen=${(/** @type {string} */ id) => go(onPage(view, 'requests', { open: id }))} />`}
        period=${html`<${Period} view=${view} utc=${utc} onPeriod=${(/** @type {any} */ change) => (refresh(), go(change))} />`} />
      <main class=${`page page-${view.page || 'overview'} ${view.open ? 'beside' : ''}`} ref=${scroller}>
        ${view.q && html`<div class="chip-row"><${Chips} q=${view.q} onQuery=${query} /></div>`}
        ${marked && html`<p class="marked-line" role="status">One request is marked. Choose another and press <kbd>c</kbd> to compare the two. <button type="button" class="quiet" onClick=${() => setMarked(null)}>Forget it</button></p>`}
        <${Shown} key=${view.page} site=${site} />
      </main>
    </div>
    ${view.open && html`<${Drawer} view=${view} site=${site} utc=${utc} marked=${marked} onClose=${close} onStep=${(/** @type {number} */ by) => stepper.current?.step(by)} onTab=${(/** @type {string} */ tab) => go({ tab }, true)} onPick=${site.pick} onMark=${mark} />`}
    ${over === 'help' && html`<${Help} onClose=${() => setOver(null)} />`}
    ${over === 'palette' && html`<${Palette} view=${view} actions=${actions} onGo=${go} onClose=${() => setOver(null)} />`}`;
}

const root = document.getElementById('app');
if (root) {
  root.replaceChildren();
  render(html`<${App} />`, root);
}
