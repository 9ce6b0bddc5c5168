// @ts-check
// A chart over time: stacked bars or lines, with a brush to zoom, a legend to filter and a table of the same figures.
import { html, useEffect, useMemo, useRef, useState } from './html.js';
import { moment, fullMoment } from './format.js';
import { pathOf, stacked, ticks } from './scale.js';

/** The width of an element as it is now. */
export function useWidth(/** @type {number} */ first) {
  const place = useRef(/** @type {HTMLElement | null} */ (null));
  const [width, setWidth] = useState(first);
  useEffect(() => {
    if (!place.current) return undefined;
    const seen = new ResizeObserver(([entry]) => setWidth(Math.round(entry.contentRect.width)));
    seen.observe(place.current);
    return () => seen.disconnect();
  }, []);
  return /** @type {const} */ ([place, width]);
}

const [TOP, BOTTOM] = [8, 20];

/** A moment on the axis: as short as the step allows. @param {number} at @param {number} step @param {boolean} utc */
function axisMoment(at, step, utc) {
  const { day, clock } = moment(at, utc, 0);
  if (step >= 86_400e6) return day.replace(/ \d{4}$/, '');
  const hours = clock.slice(0, 5);
  return hours === '00:00' ? day.replace(/ \d{4}$/, '') : step < 60e6 ? clock : hours;
}

/**
 * @typedef {{ key: string | null, label: string, hue: string, values: (number | null)[], pick?: () => void }} Series
 * @param {{ title: string, starts: number[], step: number, series: Series[], kind?: 'bars' | 'lines', utc: boolean, format: (value: number) => string,
 *   height?: number, onZoom?: (from: number, until: number) => void, stale?: boolean, legend?: boolean, marks?: any[] }} props
 */
export function TimeChart({ title, starts, step, series, kind = 'bars', utc, format, height = 180, onZoom, stale = false, legend = true }) {
  const [place, width] = useWidth(560);
  const [at, setAt] = useState(/** @type {number | null} */ (null));
  const [brush, setBrush] = useState(/** @type {[number, number] | null} */ (null));
  const [asTable, setAsTable] = useState(false);
  const bars = kind === 'bars';
  const stack = useMemo(() => stacked(series.map(({ values }) => values)), [series]);
  const most = bars ? Math.max(0, ...(stack.at(-1) ?? []).map(({ high }) => high)) : Math.max(0, ...series.flatMap(({ values }) => values.map((value) => value ?? 0)));
  const marks = ticks(most, height < 100 ? 2 : 4);
  const top = marks[marks.length - 1];
  const left = Math.max(34, ...marks.map((mark) => format(mark).length * 6.4 + 10));
  const inner = Math.max(40, width - left - 4);
  const each = inner / Math.max(1, starts.length);
  const x = (/** @type {number} */ index) => left + index * each;
  const y = (/** @type {number} */ value) => TOP + (1 - value / top) * (height - TOP - BOTTOM);
  const indexOf = (/** @type {PointerEvent} */ event) => {
    const box = /** @type {Element} */ (event.currentTarget).getBoundingClientRect();
    return Math.max(0, Math.min(starts.length - 1, Math.floor((event.clientX - box.left - left) / each)));
  };
  const onMove = (/** @type {any} */ event) => {
    const index = indexOf(event);
    setAt(index);
    if (brush) setBrush([brush[0], index]);
  };
  const onDown = (/** @type {any} */ event) => {
    if (event.button !== 0 || !onZoom) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    const index = indexOf(event);
    setBrush([index, index]);
  };
  const onUp = () => {
    if (!brush || !onZoom) return;
    const [low, high] = [Math.min(...brush), Math.max(...brush)];
    setBrush(null);
    onZoom(starts[low], starts[high] + step);
  };
  const labels = Math.max(1, Math.ceil((starts.length * 62) / inner));
  const shown = at !== null && at < starts.length ? at : null;
  return html`<figure class=${`chart ${stale ? 'stale' : ''}`}>
    <figcaption><h2>${title}</h2>
      <button type="button" class="quiet as-table" aria-pressed=${asTable} onClick=${() => setAsTable(!asTable)}>${asTable ? 'Chart' : 'Table'}</button></figcaption>
    ${asTable ? html`<${ChartTable} title=${title} starts=${starts} series=${series} utc=${utc} format=${format} total=${bars} />` : html`<div class="plot" ref=${place}>
      <svg width=${width} height=${height} role="img" aria-label=${`${title}; the same figures are under Table`} onPointerMove=${onMove} onPointerLeave=${() => setAt(null)} onPointerDown=${onDown} onPointerUp=${onUp}
        onPointerCancel=${() => setBrush(null)} class=${onZoom ? 'zooms' : ''}>
        ${marks.map((mark) => html`<g><line class="grid" x1=${left} x2=${width - 4} y1=${y(mark)} y2=${y(mark)} /><text class="tick" x=${left - 6} y=${y(mark) + 4} text-anchor="end">${format(mark)}</text></g>`)}
        ${starts.map((start, index) => index % labels === 0 && x(index) < width - 40 && html`<text class="tick" x=${x(index) + (bars ? each / 2 : 0)} y=${height - 5} text-anchor=${index === 0 ? 'start' : 'middle'}>${axisMoment(start, step, utc)}</text>`)}
        ${shown !== null && html`<rect class="hover" x=${x(shown)} width=${each} y=${TOP} height=${height - TOP - BOTTOM} />`}
        ${bars ? stack.map((edges, which) => html`<g class=${`area ${series[which].hue}`}>${edges.map(({ low, high }, index) => high > low && html`<rect x=${x(index) + Math.min(1, each * 0.1)} width=${Math.max(0.6, each - Math.min(2, each * 0.2))}
          y=${y(high)} height=${Math.max(0.8, y(low) - y(high))} />`)}</g>`) : series.map(({ values, hue }) => html`<path class=${`line ${hue}`} d=${pathOf(values.map((value, index) => (value === null ? null : { x: x(index) + each / 2, y: y(value) })))} />`)}
        ${brush && html`<rect class="brush" x=${x(Math.min(...brush))} width=${(Math.abs(brush[1] - brush[0]) + 1) * each} y=${TOP} height=${height - TOP - BOTTOM} />`}
      </svg>
      ${shown !== null && html`<div class="tip" style=${{ left: `${Math.min(x(shown) + each / 2, width - 4)}px`, transform: `translateX(${x(shown) > width / 2 ? 'calc(-100% - 10px)' : '10px'})` }}>
        <p>${fullMoment(starts[shown], utc).slice(0, 16)}</p>
        ${series.map(({ label, hue, values }) => (values[shown] || !bars) && html`<p><i class=${`dot ${hue}`}></i><span>${label}</span><b>${values[shown] === null ? '–' : format(values[shown])}</b></p>`)}
        ${bars && series.length > 1 && html`<p class="all"><span>All</span><b>${format(stack.at(-1)?.[shown].high ?? 0)}</b></p>`}</div>`}
    </div>`}
    ${legend && series.length > 1 && html`<ul class="legend">${series.map(({ label, hue, pick }) => html`<li>${pick ? html`<button type="button" class="pick" title=${`Only ${label}`} onClick=${pick}><i class=${`dot ${hue}`}></i>${label}</button>` : html`<span><i class=${`dot ${hue}`}></i>${label}</span>`}</li>`)}</ul>`}
  </figure>`;
}

/** The same figures for those who do not see a chart, and for copying. @param {any} props */
function ChartTable({ title, starts, series, utc, format, total }) {
  const filled = starts.map((/** @type {number} */ _, /** @type {number} */ at) => at).filter((/** @type {number} */ at) => series.some((/** @type {Series} */ { values }) => values[at] !== null && values[at] !== 0));
  return html`<div class="chart-table" tabindex="0"><table class="grid-table"><caption class="visually-hidden">${title}</caption><thead><tr><th scope="col">From</th>${series.map((/** @type {Series} */ { label }) => html`<th scope="col" class="number">${label}</th>`)}${total && series.length > 1 && html`<th scope="col" class="number">All</th>`}</tr></thead>
    <tbody>${filled.map((/** @type {number} */ at) => html`<tr><th scope="row">${fullMoment(starts[at], utc).slice(0, 16)}</th>${series.map((/** @type {Series} */ { values }) => html`<td class="number">${values[at] === null ? '–' : format(values[at])}</td>`)}
      ${total && series.length > 1 && html`<td class="number">${format(series.reduce((/** @type {number} */ sum, /** @type {Series} */ { values }) => sum + (values[at] ?? 0), 0))}</td>`}</tr>`)}</tbody></table>
    ${filled.length === 0 && html`<p class="muted">Nothing in this period.</p>`}</div>`;
}
