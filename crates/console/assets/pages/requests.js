// @ts-check
// Every call: a list that follows what comes in, a histogram to zoom, values to filter by.
import { html, useEffect, useMemo, useRef, useState } from '../html.js';
import { sendJson } from '../api.js';
import { useAsk } from '../ask.js';
import { TimeChart } from '../chart.js';
import { COLUMNS, USUAL, columnsOf } from '../columns.js';
import { Failed, FirstSteps, NothingMatches } from '../empty.js';
import { Facets } from '../facets.js';
import { compact, count } from '../format.js';
import { useList } from '../list.js';
import { Searched } from '../parts.js';
import { aligned } from '../scale.js';
import { startsOf } from '../series.js';
import { ROW, TALL_ROW, Table, Totals, isNarrow } from '../table.js';
import { addressOf, readView } from '../view.js';
import { reveal } from '../window.js';

/** Says when the end of the list comes near. */
function useEnd(/** @type {any} */ mark, /** @type {any} */ root, /** @type {() => unknown} */ reached) {
  const held = useRef(reached);
  held.current = reached;
  useEffect(() => {
    if (!mark.current) return undefined;
    const seen = new IntersectionObserver((entries) => entries[0].isIntersecting && held.current(), { root: root.current, rootMargin: '900px' });
    seen.observe(mark.current);
    return () => seen.disconnect();
  });
}

/** Requests over time, those that went wrong apart. @param {{ site: any, beat: unknown }} props */
function Histogram({ site, beat }) {
  const { data, stale } = useAsk(`/api/series?${site.ask({ offset_minutes: site.offset })}`, beat);
  const charts = useMemo(() => {
    if (!data) return null;
    const starts = startsOf(data, site.offset);
    return { starts, series: [
      { key: 'good', label: 'Went well', hue: 'hue-good', values: aligned(starts, data.points, (point) => point.requests - point.errors) },
      { key: 'bad', label: 'Went wrong', hue: 'hue-bad', values: aligned(starts, data.points, (point) => point.errors), pick: () => site.pick('failed', 'true') },
    ] };
  }, [data, site.offset, site.view]);
  if (!charts || data.points.length === 0) return html`<div class="histogram empty-chart"></div>`;
  return html`<div class="histogram"><${TimeChart} title="Requests over time" starts=${charts.starts} step=${data.step_us} series=${charts.series} utc=${site.utc} format=${compact} height=${84} onZoom=${site.zoom} stale=${stale} legend=${false} /></div>`;
}

/** @param {{ site: any }} props */
function ColumnChooser({ site }) {
  const names = columnsOf(site.view.p.cols).map(({ name }) => name);
  const properties = useAsk('/api/properties?limit=30').data?.properties ?? [];
  const all = [...COLUMNS.map(({ name, label }) => ({ name, label })), ...properties.map((/** @type {any} */ { name }) => ({ name: `prop.${name}`, label: name }))];
  const toggle = (/** @type {string} */ name) => {
    const next = names.includes(name) ? names.filter((held) => held !== name) : all.map((one) => one.name).filter((one) => one === name || names.includes(one));
    site.set({ cols: next.join(',') === USUAL.join(',') ? '' : next.join(',') }, true);
  };
  return html`<div class="popover columns" role="group" aria-label="Columns">${all.map(({ name, label }) => html`<label><input type="checkbox" checked=${names.includes(name)} disabled=${name === 'time'} onChange=${() => toggle(name)} /> ${label}</label>`)}
    <button type="button" class="quiet" onClick=${() => site.set({ cols: '' }, true)}>The usual ones</button></div>`;
}

/** @param {{ site: any, onDone: () => void }} props */
function SavedViews({ site, onDone }) {
  const [turn, setTurn] = useState(0);
  const { data } = useAsk('/api/kept/saved_view', turn);
  const again = () => setTurn((held) => held + 1);
  const save = (/** @type {any} */ event) => {
    event.preventDefault();
    const name = String(new FormData(event.target).get('name')).trim();
    if (name) sendJson('POST', '/api/kept/saved_view', { name, address: addressOf({ ...site.view, open: null }) }).then(() => (event.target.reset(), again()));
  };
  const show = (/** @type {string} */ address) => (/** @type {Event} */ event) => {
    event.preventDefault();
    const [path, search = ''] = address.split('?');
    site.go(readView(path, search));
    onDone();
  };
  return html`<div class="popover views" role="group" aria-label="Saved views">
    ${(data?.kept ?? []).map((/** @type {any} */ { id, body }) => html`<p><a href=${body.address} onClick=${show(body.address)}>${body.name}</a><button type="button" class="quiet icon" aria-label=${`Remove the view ${body.name}`} onClick=${() => sendJson('DELETE', `/api/kept/saved_view/${id}`).then(again)}>✕</button></p>`)}
    ${data?.kept.length === 0 && html`<p class="muted">None yet.</p>`}
    <form onSubmit=${save}><input name="name" placeholder="Name of this view" aria-label="Name of this view" required /><button class="primary">Save</button></form></div>`;
}

/** A button that opens something beneath it. @param {any} props */
function Opens({ label, children }) {
  const [open, setOpen] = useState(false);
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    if (!open) return undefined;
    const away = (/** @type {Event} */ event) => !box.current?.contains(/** @type {Node} */ (event.target)) && setOpen(false);
    addEventListener('pointerdown', away);
    return () => removeEventListener('pointerdown', away);
  }, [open]);
  return html`<div class="opens" ref=${box} onKeyDown=${(/** @type {KeyboardEvent} */ event) => event.key === 'Escape' && open && (event.stopPropagation(), setOpen(false))}>
    <button type="button" class="quiet bordered" aria-expanded=${open} onClick=${() => setOpen(!open)}>${label} ▾</button>${open && children(() => setOpen(false))}</div>`;
}

/** @param {{ site: any }} props */
export function Requests({ site }) {
  const { view, go, utc, live, scroller, stepper } = site;
  const [current, setCurrent] = useState(/** @type {string | null} */ (view.open));
  const end = useRef(/** @type {HTMLElement | null} */ (null));
  const place = useRef(/** @type {HTMLElement | null} */ (null));
  const hovered = useRef(false);

  // New rows move those that are there only while nobody points at them, has chosen one or has scrolled down to them.
  const mayShow = () => (scroller.current?.scrollTop ?? 0) < 8 && !hovered.current && !current && !view.open;
  const list = useList(view, live, mayShow);
  const { rows, next, waiting, missed } = list.calls;
  useEffect(() => site.setFeed(list.feed), [list.feed]);
  // A failed page is asked for again by hand only.
  useEnd(end, scroller, () => list.error || list.loadOlder());

  const open = (/** @type {string} */ id) => {
    setCurrent(id);
    go({ open: id });
  };
  const step = (/** @type {number} */ by) => {
    const at = rows.findIndex((row) => row.id === (view.open ?? current));
    const to = Math.max(0, Math.min(rows.length - 1, at < 0 ? 0 : at + by));
    if (!rows[to]) return;
    setCurrent(rows[to].id);
    reveal(scroller.current, place.current, to, isNarrow() ? TALL_ROW : ROW);
    if (view.open) go({ open: rows[to].id }, true);
  };
  stepper.current = { step, enter: () => current && open(current), leave: () => (setCurrent(null), true), current: () => current };
  useEffect(() => () => void (stepper.current = null), []);

  const letIn = () => list.letIn().then(() => scroller.current?.scrollTo(0, 0));
  const showNew = () => {
    setCurrent(null);
    letIn();
  };
  const onLeave = () => {
    hovered.current = false;
    if (waiting.length > 0 && !missed && mayShow()) letIn();
  };
  const clear = () => go({ q: '', range: 'all', from: null, until: null });
  const columns = useMemo(() => columnsOf(view.p.cols), [view.p.cols]);
  const railShown = view.p.rail === undefined ? null : view.p.rail === 'on';
  const toggleRail = () => site.set({ rail: (railShown ?? matchMedia('(min-width: 1180px)').matches) ? 'off' : 'on' }, true);
  const empty = rows.length === 0 && !list.loading && !list.error;
  // Nothing in this period is one thing, nothing at all another.
  const all = useAsk(empty ? '/api/totals' : null).data;
  return html`
    <h1 class="visually-hidden">Requests</h1>
    <div class="summary"><${Totals} totals=${list.totals} stale=${list.stale} />
      <div class="title-actions"><button type="button" class="quiet bordered" aria-pressed=${railShown} onClick=${toggleRail}>Values</button>
        <${Opens} label="Columns">${() => html`<${ColumnChooser} site=${site} />`}<//><${Opens} label="Views">${(/** @type {() => void} */ done) => html`<${SavedViews} site=${site} onDone=${done} />`}<//>
        <a class="button quiet bordered" href=${`/api/export?${site.ask({ format: 'csv' })}`} download="requests.csv">CSV</a></div></div>
    <${Histogram} site=${site} beat=${site.now} />
    <${Searched} searched=${list.totals?.searched} />
    <div class=${`with-rail ${railShown === null ? '' : railShown ? 'rail-on' : 'rail-off'}`}>
      <${Facets} site=${site} />
      <div class="list-column">
        <div class="pill-line" aria-live="polite">${(waiting.length > 0 || missed) && html`<button type="button" class="pill" onClick=${showNew}>${missed ? 'Many new · reload' : `${count(waiting.length)} new`} ↑</button>`}</div>
        ${list.error && rows.length === 0 && html`<${Failed} error=${list.error} onRetry=${list.reload} />`}
        ${empty && all && (all.requests > 0 ? html`<${NothingMatches} onClear=${clear} />` : html`<${FirstSteps} />`)}
        ${rows.length > 0 && html`<div class=${list.loading && list.stale ? 'stale' : ''} onMouseEnter=${() => (hovered.current = true)} onMouseLeave=${onLeave}>
          <${Table} rows=${rows} view=${view} columns=${columns} current=${current} marked=${site.marked} utc=${utc} freshIds=${list.freshIds} scroller=${scroller} placeRef=${place} onOpen=${open} onPick=${site.pick} onSort=${(/** @type {string} */ sort) => site.set({ sort })} /></div>
          <footer class="end" ref=${end}>${list.error ? html`<span role="alert">${list.error.message}</span> <button type="button" class="quiet" onClick=${list.loadOlder}>Try again</button>` : next ? html`<button type="button" class="quiet" disabled=${list.loading} onClick=${list.loadOlder}>${list.loading ? 'Loading…' : 'Load older'}</button>` : html`<span class="muted">That is all.</span>`}</footer>`}
      </div></div>`;
}
