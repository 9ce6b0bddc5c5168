// @ts-check
// The live feed. Silent while the page is hidden; comes back by itself.

/** A page hidden for so long lets go of its connection. */
const HIDDEN_MS = 20_000;

/**
 * @typedef {'connecting' | 'live' | 'trouble' | 'off'} FeedState
 * @param {URLSearchParams} question
 * @param {{ onRow: (row: any) => void, onGap: () => void, onState: (state: FeedState) => void }} listener `onGap`:
 *   rows may have been stored that were not told of
 * @returns {() => void} stops it
 */
export function listen(question, listener) {
  /** @type {EventSource | null} */
  let source = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let hiding;
  const open = () => {
    if (source) return;
    listener.onState('connecting');
    source = new EventSource(`/api/live?${question}`);
    const on = (/** @type {string} */ name, /** @type {(event: MessageEvent) => void} */ act) => source?.addEventListener(name, act);
    on('ready', () => {
      listener.onState('live');
      listener.onGap();
    });
    on('row', (event) => listener.onRow(JSON.parse(event.data)));
    on('reload', () => listener.onGap());
    on('trouble', () => listener.onState('trouble'));
    on('recovered', () => listener.onState('live'));
    source.onerror = () => {
      // The browser tries again by itself, unless the answer was a refusal.
      const refused = source?.readyState === EventSource.CLOSED;
      listener.onState(refused ? 'off' : 'connecting');
      if (refused) {
        source = null;
        listener.onGap();
      }
    };
  };
  const close = () => {
    source?.close();
    source = null;
    listener.onState('off');
  };
  const onVisibility = () => {
    clearTimeout(hiding);
    if (document.hidden) hiding = setTimeout(close, HIDDEN_MS);
    else open();
  };
  document.addEventListener('visibilitychange', onVisibility);
  open();
  return () => {
    document.removeEventListener('visibilitychange', onVisibility);
    clearTimeout(hiding);
    close();
  };
}
