// @ts-check
// Long lists: only the rows that can be seen are in the page.
import { useEffect, useState } from './html.js';

/** Rows drawn above and below what is seen. */
const BEYOND = 16;

/**
 * The first and the last row to draw, for a list at `place` inside `scroller` with rows of one height.
 * @param {{ current: HTMLElement | null }} scroller
 * @param {{ current: HTMLElement | null }} place
 * @param {number} count
 * @param {number} height in px
 * @returns {[number, number]}
 */
export function useWindow(scroller, place, count, height) {
  const [range, setRange] = useState(/** @type {[number, number]} */ ([0, 60]));
  useEffect(() => {
    const box = scroller.current;
    if (!box) return undefined;
    let asked = 0;
    const look = () => {
      asked = 0;
      if (!place.current) return;
      const above = box.getBoundingClientRect().top - place.current.getBoundingClientRect().top;
      const first = Math.max(0, Math.floor(above / height) - BEYOND);
      const last = Math.ceil((above + box.clientHeight) / height) + BEYOND;
      // Steps of a few rows, so that not each pixel draws anew.
      setRange((held) => (Math.abs(held[0] - first) < 8 && Math.abs(held[1] - last) < 8 && first > 0 ? held : [first, last]));
    };
    const soon = () => (asked ||= requestAnimationFrame(look));
    look();
    box.addEventListener('scroll', soon, { passive: true });
    addEventListener('resize', soon);
    return () => {
      cancelAnimationFrame(asked);
      box.removeEventListener('scroll', soon);
      removeEventListener('resize', soon);
    };
  }, [count > 0, height]);
  return [Math.min(range[0], Math.max(0, count - 1)), Math.min(count, range[1])];
}

/**
 * Brings a row of such a list into view, whether it is drawn or not.
 * @param {HTMLElement | null} box
 * @param {HTMLElement | null} place
 * @param {number} at
 * @param {number} height
 * @param {number} [head] px that stand over the list's top
 */
export function reveal(box, place, at, height, head = 40) {
  if (!box || !place) return;
  const top = place.getBoundingClientRect().top - box.getBoundingClientRect().top + box.scrollTop + at * height;
  if (top - head < box.scrollTop) box.scrollTop = Math.max(0, top - head);
  else if (top + height > box.scrollTop + box.clientHeight) box.scrollTop = top + height - box.clientHeight + 4;
}
