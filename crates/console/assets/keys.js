// @ts-check
import { useLayoutEffect, useRef } from './html.js';

/** A first key waits so long for its second one. */
const SEQUENCE_MS = 1_200;

/**
 * Keys of the whole page: `j`, or `g r` for one after the other. Typing into a field, and combinations that belong to the
 * browser, are left alone.
 * @param {Record<string, (event: KeyboardEvent) => void>} actions
 */
export function useKeys(actions) {
  const held = useRef(actions);
  held.current = actions;
  const first = useRef(/** @type {{ key: string, at: number } | null} */ (null));
  // Before the first paint: whoever sees the page can type into it.
  useLayoutEffect(() => {
    const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
      const target = /** @type {HTMLElement} */ (event.target);
      if (event.key.toLowerCase() === 'k' && (event.metaKey || event.ctrlKey)) {
        event.preventDefault();
        return held.current['Mod-k']?.(event);
      }
      if (event.metaKey || event.ctrlKey || event.altKey || event.defaultPrevented) return;
      if (target.closest('input, textarea, select, dialog')) return;
      // A focused button or link is pressed by Enter; that is not ours.
      if (event.key === 'Enter' && target.closest('button, a, summary')) return;
      const begun = first.current && event.timeStamp - first.current.at < SEQUENCE_MS ? `${first.current.key} ` : '';
      const act = held.current[begun + event.key] ?? held.current[event.key];
      first.current = !begun && Object.keys(held.current).some((keys) => keys.startsWith(`${event.key} `)) ? { key: event.key, at: event.timeStamp } : null;
      if (!act) return;
      event.preventDefault();
      act(event);
    };
    addEventListener('keydown', onKeyDown);
    return () => removeEventListener('keydown', onKeyDown);
  }, []);
}
