// @ts-check
// The list behind the page: reads pages, follows the feed, keeps the totals.
import { useCallback, useEffect, useRef, useState } from './html.js';
import { getJson } from './api.js';
import { NONE, appended, arrive, catchUp, firstPage, olderPage, showWaiting } from './calls.js';
import { listen } from './feed.js';
import { searchesText } from './query.js';
import { questionOf } from './view.js';

const PAGE = 100;
/** New calls are taken in together, so that a busy feed does not draw the page for each. */
const GATHER_MS = 150;
/** Between two readings of the totals while calls come in. */
const TOTALS_MS = 4000;

/**
 * @param {any} view
 * @param {boolean} live
 * @param {() => boolean} mayShow whether a new row may move those that are there
 */
export function useList(view, live, mayShow) {
  const [calls, setCalls] = useState(NONE);
  const [state, setState] = useState(/** @type {{ loading: boolean, error: Error | null }} */ ({ loading: true, error: null }));
  const [totals, setTotals] = useState(/** @type {any} */ (null));
  const [feed, setFeed] = useState(/** @type {import('./feed.js').FeedState} */ ('off'));
  const [freshIds, setFreshIds] = useState(/** @type {Set<string>} */ (new Set()));
  const [stale, setStale] = useState(true);
  const show = useRef(mayShow);
  show.current = mayShow;
  // A relative range is fixed to a moment when it is chosen, and again at each reading.
  const sort = view.p.sort ?? '';
  const question = useCallback(() => questionOf(view, Date.now()), [view.q, view.range, view.from, view.until]);
  // New rows have their place only in the order of time, and words are not looked for as they come.
  const follows = live && !sort && view.until === null && !searchesText(view.q);
  const reading = useRef(/** @type {AbortController | null} */ (null));

  const readTotals = useCallback(() => {
    const asked = reading.current;
    return getJson(`/api/totals?${question()}`, asked?.signal)
      .then((sums) => asked === reading.current && (setTotals(sums), setStale(false)))
      .catch(() => {});
  }, [question]);

  const pageOf = useCallback((/** @type {string | null} */ before) => {
    const query = question();
    query.set('limit', String(PAGE));
    if (!sort) {
      if (before) query.set('before', before);
      return getJson(`/api/requests?${query}`, reading.current?.signal);
    }
    // Another order has no cursors: its pages are counted.
    const skip = Number(before ?? 0);
    query.set('sort', sort);
    if (skip) query.set('skip', String(skip));
    return getJson(`/api/requests?${query}`, reading.current?.signal).then((page) => ({ ...page, next: page.rows.length === PAGE ? String(skip + PAGE) : null }));
  }, [question, sort]);

  const fail = (/** @type {any} */ error) => error.name !== 'AbortError' && setState({ loading: false, error });

  const reload = useCallback(() => {
    reading.current?.abort();
    reading.current = new AbortController();
    setState({ loading: true, error: null });
    setStale(true);
    readTotals();
    return pageOf(null).then((page) => {
      setFreshIds(new Set());
      setCalls(firstPage(page));
      setState({ loading: false, error: null });
    }).catch(fail);
  }, [pageOf, readTotals]);

  useEffect(() => {
    reload();
    return () => reading.current?.abort();
  }, [reload]);

  const loadOlder = useCallback(() => {
    if (!calls.next || state.loading) return;
    setState({ loading: true, error: null });
    pageOf(calls.next).then((page) => {
      setCalls((held) => (held.next !== calls.next ? held : sort ? appended(held, page) : olderPage(held, page)));
      setState({ loading: false, error: null });
    }).catch(fail);
  }, [calls.next, state.loading, pageOf]);

  useEffect(() => {
    if (!follows) return undefined;
    /** @type {any[]} */
    let gathered = [];
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let sums;
    const soonTotals = () => (sums ??= setTimeout(() => ((sums = undefined), readTotals()), TOTALS_MS));
    const take = () => {
      const fresh = gathered;
      [gathered, timer] = [[], undefined];
      const shown = show.current();
      if (shown) setFreshIds(new Set(fresh.map((row) => row.id)));
      setCalls((held) => arrive(held, fresh, shown));
      soonTotals();
    };
    const stop = listen(question(), {
      onRow: (row) => {
        gathered.push(row);
        timer ??= setTimeout(take, GATHER_MS);
      },
      onGap: () => {
        pageOf(null).then((page) => setCalls((held) => catchUp(held, page, show.current()))).catch(() => {});
        soonTotals();
      },
      onState: setFeed,
    });
    return () => {
      stop();
      clearTimeout(timer);
      clearTimeout(sums);
    };
  }, [follows, question, pageOf, readTotals]);

  const letIn = useCallback(() => {
    if (calls.missed) return reload();
    setFreshIds(new Set(calls.waiting.map((row) => row.id)));
    setCalls(showWaiting);
    return Promise.resolve();
  }, [calls, reload]);

  return { calls, ...state, totals, stale, feed: follows ? feed : 'off', freshIds, reload, loadOlder, letIn };
}
