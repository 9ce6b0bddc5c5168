// @ts-check
// What a page asks of the API, and what it shows until the answer is there.
import { useEffect, useRef, useState } from './html.js';
import { getJson } from './api.js';

/**
 * The answer to a question. The last one stays until the next has come, marked stale, so that nothing jumps.
 * @param {string | null} path with its query; null asks nothing
 * @param {unknown} [again] asks anew when it changes
 * @returns {{ data: any, error: Error | null, stale: boolean }}
 */
export function useAsk(path, again = 0) {
  const [state, setState] = useState(/** @type {{ data: any, error: any, path: string | null }} */ ({ data: null, error: null, path: null }));
  const held = useRef(state);
  held.current = state;
  useEffect(() => {
    if (path === null) return undefined;
    const abort = new AbortController();
    getJson(path, abort.signal)
      .then((data) => setState({ data, error: null, path }))
      .catch((error) => error.name !== 'AbortError' && setState({ data: null, error, path }));
    return () => abort.abort();
  }, [path, again]);
  return { data: state.data, error: state.error, stale: path !== null && state.path !== path };
}

/**
 * Whether a route of the API is not there: an older gateway, or a part that is switched off.
 * @param {any} error
 */
export function isAbsent(error) {
  return error?.status === 404 && error.code === 'not_found';
}
