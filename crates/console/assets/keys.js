// @ts-check
import { useEffect, useRef } from './html.js';

/**
 * Keys of the whole page. Typing into a field, and combinations that belong to the browser, are left alone.
 * @param {Record<string, (event: KeyboardEvent) => void>} actions
 */
export function useKeys(actions) {
  const held = useRef(actions);
  held.current = actions;
  useEffect(() => {
    const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
      const target = /** @type {HTMLElement} */ (event.target);
      if (event.metaKey || event.ctrlKey || event.altKey || event.defaultPrevented) return;
      if (target.closest('input, textarea, select, dialog')) return;
      // A focused button or link is pressed by Enter; that is not ours.
      if (event.key === 'Enter' && target.closest('button, a, summary')) return;
      const act = held.current[event.key];
      if (!act) return;
      event.preventDefault();
      act(event);
    };
    addEventListener('keydown', onKeyDown);
    return () => removeEventListener('keydown', onKeyDown);
  }, []);
}
