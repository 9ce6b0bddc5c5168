// @ts-check
// Which period is looked at: a relative range, or from one moment until another.
import { html, useEffect, useRef, useState } from './html.js';
import { fullMoment } from './format.js';
import { RANGES, periodOf } from './view.js';

/** A moment as the browser's field for it writes one. @param {number} micros @param {boolean} utc */
function fieldOf(micros, utc) {
  return fullMoment(micros, utc).slice(0, 19).replace(' ', 'T');
}

/** @param {string} text @param {boolean} utc @returns {number | null} */
export function microsOf(text, utc) {
  const ms = Date.parse(utc ? `${text}Z` : text);
  return Number.isNaN(ms) ? null : ms * 1000;
}

/** The period's length moved by so many of it. @param {any} view @param {number} by */
export function moved(view, by) {
  const now = Date.now();
  const [from, until] = periodOf(view, now);
  if (from === null) return view;
  const end = until ?? now * 1000;
  const length = end - from;
  return { ...view, from: from + by * length, until: Math.min(now * 1000, end + by * length) };
}

/** @param {any} view @param {boolean} utc */
function labelOf(view, utc) {
  if (view.from === null && view.until === null) return RANGES[view.range].label;
  const text = (/** @type {number | null} */ at) => (at === null ? '…' : fullMoment(at, utc).slice(5, 16));
  return `${text(view.from)} – ${view.until === null ? 'now' : text(view.until)}`;
}

/** @param {{ view: any, utc: boolean, onPeriod: (change: any) => void }} props */
export function Period({ view, utc, onPeriod }) {
  const [open, setOpen] = useState(false);
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    if (!open) return undefined;
    const away = (/** @type {Event} */ event) => !box.current?.contains(/** @type {Node} */ (event.target)) && setOpen(false);
    addEventListener('pointerdown', away);
    return () => removeEventListener('pointerdown', away);
  }, [open]);
  const choose = (/** @type {any} */ change) => {
    setOpen(false);
    onPeriod(change);
  };
  const submit = (/** @type {any} */ event) => {
    event.preventDefault();
    const data = new FormData(event.target);
    const [from, until] = [microsOf(String(data.get('from')), utc), microsOf(String(data.get('until')), utc)];
    if (from !== null && (until === null || until > from)) choose({ from, until });
  };
  const [from, until] = periodOf(view, Date.now());
  const absolute = view.from !== null || view.until !== null;
  return html`<div class="period" ref=${box} onKeyDown=${(/** @type {KeyboardEvent} */ event) => event.key === 'Escape' && open && (event.stopPropagation(), setOpen(false))}>
    <button type="button" class="quiet bordered" aria-haspopup="dialog" aria-expanded=${open} aria-label=${`Time range: ${labelOf(view, utc)}`} onClick=${() => setOpen(!open)}><span class="long">${labelOf(view, utc)}</span><span class="short">${absolute ? '↔' : RANGES[view.range].short}</span> ▾</button>
    ${open && html`<div class="popover" role="dialog" aria-label="Time range">
      <div class="ranges">${Object.entries(RANGES).map(([range, { label }]) => html`<button type="button" class="quiet" aria-pressed=${!absolute && view.range === range} onClick=${() => choose({ range, from: null, until: null })}>${label}</button>`)}</div>
      <form onSubmit=${submit}>
        <label>From <input type="datetime-local" name="from" step="1" required value=${from === null ? '' : fieldOf(from, utc)} /></label>
        <label>Until <input type="datetime-local" name="until" step="1" value=${fieldOf(until ?? Date.now() * 1000, utc)} /></label>
        <button class="primary">Show</button>
        <p class="muted">${utc ? 'UTC' : 'Local time'}. A relative range in a link moves on with time; a fixed one stays.</p>
      </form></div>`}
  </div>`;
}
