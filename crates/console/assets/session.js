// @ts-check
// One session: what it cost and how long it took, step by step, and what of that looks like waste.
import { html, useEffect, useMemo, useRef, useState } from './html.js';
import { useAsk } from './ask.js';
import { axisMoney, axisSpan } from './axis.js';
import { compact, count, duration, fullMoment, money } from './format.js';
import { Marks } from './marks.js';
import { hueOf, outcomeOf } from './outcome.js';
import { Choice, Cost, Count, Go, Rate, Spend, Title, Trouble } from './parts.js';
import { MEASURES, branchesOf, framesOf, rowsOf } from './trace.js';
import { onPage } from './view.js';
import { reveal, useWindow } from './window.js';

/** Height of a step's row in px, as the style sheet has it. */
const STEP = 28;

const BY = /** @type {[string, string][]} */ ([['time', 'Time'], ['cost', 'Dollars'], ['tokens', 'Tokens']]);
const SHOWS = /** @type {[string, string][]} */ ([['waterfall', 'Waterfall'], ['tree', 'Tree'], ['flame', 'Flame graph']]);
/** @type {Record<string, (value: number) => string>} */
const WRITE = { time: (us) => axisSpan(Math.round(us)), cost: (usd) => money(usd.toFixed(12)), tokens: (tokens) => compact(Math.round(tokens)) };

/** @param {any} step */
function nameOf(step) {
  const path = step.session?.path?.split('/').filter(Boolean).at(-1);
  return step.name ?? path ?? step.model ?? step.path;
}

/** @param {{ site: any, rows: import('./trace.js').StepRow[], by: string, from: number, until: number }} props */
function Waterfall({ site, rows, by, from, until }) {
  const body = useRef(/** @type {HTMLElement | null} */ (null));
  const [first, last] = useWindow(site.scroller, body, rows.length, STEP);
  const [brush, setBrush] = useState(/** @type {[number, number] | null} */ (null));
  const whole = { time: until - from, cost: rows.reduce((sum, row) => sum + row.cost, 0), tokens: rows.reduce((sum, row) => sum + row.tokens, 0) }[by] || 1;
  const [low, high] = (site.view.p.z ?? '0-1').split('-').map(Number);
  const zoomed = low > 0 || high < 1;
  const place = (/** @type {import('./trace.js').StepRow} */ row) => {
    const [start, size] = by === 'time' ? [row.start - from, row.end - row.start] : by === 'cost' ? [row.before.cost, row.cost] : [row.before.tokens, row.tokens];
    const [left, right] = [(start / whole - low) / (high - low), ((start + size) / whole - low) / (high - low)];
    return { left: Math.max(0, Math.min(1, left)), width: Math.max(0, Math.min(1, right) - Math.max(0, left)), size, seen: right >= 0 && left <= 1 };
  };
  const partOf = (/** @type {any} */ event) => {
    const box = event.currentTarget.getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
  };
  const onUp = () => {
    if (!brush) return;
    const [one, other] = [Math.min(...brush), Math.max(...brush)];
    setBrush(null);
    if (other - one > 0.005) site.set({ z: [one, other].map((part) => (low + part * (high - low)).toFixed(5)).join('-') });
  };
  const gap = (/** @type {number} */ rows) => html`<div style=${{ height: `${rows * STEP}px` }}></div>`;
  return html`<div class="waterfall" role="table" aria-label="Steps" aria-rowcount=${rows.length}>
    <div class="step head" role="row"><span role="columnheader">Step</span><span role="columnheader" class="lane axis" title="Drag to zoom" onPointerDown=${(/** @type {any} */ event) => (event.currentTarget.setPointerCapture(event.pointerId), setBrush([partOf(event), partOf(event)]))}
        onPointerMove=${(/** @type {any} */ event) => brush && setBrush([brush[0], partOf(event)])} onPointerUp=${onUp}>${[0, 0.25, 0.5, 0.75].map((part) => html`<i style=${{ left: `${part * 100}%` }}>${WRITE[by]((low + part * (high - low)) * whole)}</i>`)}
        ${brush && html`<b style=${{ left: `${Math.min(...brush) * 100}%`, width: `${Math.abs(brush[1] - brush[0]) * 100}%` }}></b>`}</span>
      <span role="columnheader" class="number">${zoomed ? html`<button type="button" class="quiet" onClick=${() => site.set({ z: '' })}>All</button>` : 'Took'}</span><span role="columnheader" class="number">Cost</span></div>
    <div ref=${body} role="rowgroup">${gap(first)}${rows.slice(first, last).map((row) => {
      const { step, depth, marks, end, start } = row;
      const { left, width, seen } = place(row);
      const tone = outcomeOf(step.outcome).tone;
      return html`<div role="row" key=${step.id} data-id=${step.id} class=${`step ${site.view.open === step.id ? 'open' : ''}`} onClick=${() => site.open(step.id)}>
        <span role="cell" class="name" style=${{ paddingLeft: `${Math.min(depth, 12) * 14 + 4}px` }}><${Go} site=${site} to=${{ ...site.view, open: step.id }} title=${`${step.session?.path ?? ''} ${step.model ?? ''}`}><i class=${`dot ${hueOf(step.model)}`}></i>${nameOf(step)}<//>${marks.map(({ kind, about }) => html`<em class=${`mark mark-${kind}`} title=${about}>${kind}</em>`)}</span>
        <span role="cell" class="lane">${seen && html`<i class=${`bar tone-${tone} ${hueOf(step.model)}`} style=${{ left: `${left * 100}%`, width: `${width * 100}%` }} title=${`${duration(end - start)}, ${count(row.tokens)} tokens`}></i>`}</span>
        <span role="cell" class="number">${duration(end - start)}</span><span role="cell" class="number"><${Cost} amount=${step.cost.total} /></span></div>`;
    })}${gap(rows.length - last)}</div></div>`;
}

/** @param {{ site: any, tree: any, by: string }} props */
function Flame({ site, tree, by }) {
  const frames = useMemo(() => framesOf(tree, by), [tree, by]);
  const depth = Math.max(...frames.map((frame) => frame.depth)) + 1;
  const [focus, setFocus] = useState('/');
  const root = frames.find(({ path }) => path === focus) ?? frames[0];
  return html`<div class="flame" style=${{ height: `${depth * 30}px` }} role="tree" aria-label=${`Paths, as wide as their ${by}`}>${frames.map(({ name, path, depth, left, width, value, branch }) => {
    const [at, wide] = [(left - root.left) / (root.width || 1), width / (root.width || 1)];
    if (at + wide <= 1e-9 || at >= 1 - 1e-9 || wide < 0.0005) return null;
    const [from, size] = [Math.max(0, at), Math.min(1, at + wide) - Math.max(0, at)];
    const part = frames[0].value > 0 ? value / frames[0].value : 0;
    return html`<button type="button" role="treeitem" class=${`frame ${hueOf(name)}`} style=${{ left: `${from * 100}%`, width: `${size * 100}%`, top: `${depth * 30}px` }} title=${`${path}: ${WRITE[by](value)}, ${(part * 100).toFixed(1)}%, ${count(branch.requests)} requests`}
      onClick=${() => setFocus(path === focus ? '/' : path)}><b>${name}</b> ${WRITE[by](value)}${branch.errors > 0 && html` <em class="mark mark-failed">${branch.errors} failed</em>`}</button>`;
  })}</div>
  <p class="muted">Click a frame to look into it; again to come back. <${Go} site=${site} to=${{ ...site.view, p: { ...site.view.p, show: 'tree' } }}>The same figures as a tree<//></p>`;
}

/** @param {{ site: any, tree: any, q: string }} props */
function Tree({ site, tree, q }) {
  const [folded, setFolded] = useState(/** @type {Set<string>} */ (new Set()));
  const rows = useMemo(() => branchesOf(tree, folded), [tree, folded]);
  const whole = MEASURES.cost(tree);
  const toggle = (/** @type {string} */ path) => setFolded((held) => new Set(held.has(path) ? [...held].filter((one) => one !== path) : [...held, path]));
  return html`<div class="grid-scroll"><table class="grid-table tree" aria-label="Paths of the session"><thead><tr><th scope="col">Path</th><th scope="col" class="number">Cost</th><th scope="col" class="number narrow">Part</th><th scope="col" class="number">Steps</th><th scope="col" class="number narrow">Tokens</th><th scope="col" class="number">Busy</th><th scope="col" class="number">Errors</th></tr></thead>
    <tbody>${rows.map(({ path, depth, branch, leaf }) => html`<tr key=${path}><td style=${{ paddingLeft: `${depth * 18 + 12}px` }}>${leaf ? html`<span class="twist"></span>` : html`<button type="button" class="quiet twist" aria-expanded=${!folded.has(path)} aria-label=${`${folded.has(path) ? 'Unfold' : 'Fold'} ${path}`} onClick=${() => toggle(path)}>${folded.has(path) ? '▸' : '▾'}</button>`}
        <${Go} site=${site} to=${site.requestsOf('session_path', path, q)}>${branch.name || 'session'}<//></td>
      <td class="number"><${Cost} amount=${branch.cost} /></td><td class="number narrow">${whole > 0 ? `${((100 * Number(branch.cost)) / whole).toFixed(1)}%` : '–'}</td><td class="number">${count(branch.requests)}</td><td class="number narrow"><${Count} value=${branch.tokens} /></td><td class="number">${duration(branch.busy_us)}</td><td class="number">${branch.errors || html`<span class="none">0</span>`}</td></tr>`)}</tbody></table></div>`;
}

/** What may be waste, with what it cost. @param {{ data: any, rows: any[] }} props */
function Waste({ data, rows }) {
  const failed = rows.filter(({ step, cost }) => step.outcome !== 'complete' && cost > 0);
  const paid = failed.reduce((sum, { cost }) => sum + cost, 0);
  if (data.repeats.length === 0 && failed.length === 0) return null;
  return html`<section class="card waste" aria-label="What may be waste"><h2>What may be waste</h2><ul>
    ${data.repeats.slice(0, 5).map((/** @type {any} */ { path, name, model, times, cost }) => html`<li><em class="mark mark-loop">loop</em> <b>${times}×</b> ${path ?? name ?? 'the same step'} <span class="muted">${model}, requests of one length</span> <span class="number"><${Cost} amount=${cost} /></span></li>`)}
    ${failed.length > 0 && html`<li><em class="mark mark-failed">failed</em> <b>${failed.length}×</b> paid for and not used <span class="number">${axisMoney(paid)}</span></li>`}</ul></section>`;
}

/** @param {{ site: any }} props */
export function Session({ site }) {
  const { view, utc } = site;
  const [turn, setTurn] = useState(0);
  const { data, error } = useAsk(`/api/sessions/${encodeURIComponent(view.id)}`, turn);
  const rows = useMemo(() => (data ? rowsOf(data.steps, data.repeats) : []), [data]);
  const show = view.p.show ?? 'waterfall';
  const by = view.p.by ?? (show === 'flame' ? 'cost' : 'time');
  const step = (/** @type {number} */ move) => {
    const at = rows.findIndex((row) => row.step.id === view.open);
    const to = Math.max(0, Math.min(rows.length - 1, at < 0 ? 0 : at + move));
    if (!rows[to]) return;
    site.open(rows[to].step.id, Boolean(view.open));
    reveal(site.scroller.current, document.querySelector('.waterfall [role="rowgroup"]'), to, STEP, 60);
  };
  site.stepper.current = { step, enter: () => rows[0] && !view.open && site.open(rows[0].step.id), leave: () => (site.go(onPage(view, 'sessions')), true), current: () => view.open };
  useEffect(() => () => void (site.stepper.current = null), []);
  if (error) return html`<div class="pad"><${Title} title=${view.id} /><${Trouble} error=${error} what="sessions" /></div>`;
  if (!data) return html`<div class="pad"><div class="waiting tall"></div></div>`;
  const { totals } = data;
  const q = `session:"${view.id.replace(/["\\]/g, '\\$&')}"`;
  return html`<div class="pad"><${Title} title=${data.name ?? view.id} about=${html`<${Go} site=${site} to=${onPage(view, 'sessions')}>Sessions<//> › <code>${view.id}</code>`}>
      <${Go} site=${site} to=${onPage({ ...view, q, range: 'all', from: null, until: null }, 'requests')} class="button bordered">Requests<//><//>
    <dl class="totals card-line">
      <div><dt>Spend</dt><dd><${Spend} sums=${totals} /></dd></div><div><dt>Steps</dt><dd>${count(totals.requests)}${data.more ? '+' : ''}</dd></div><div><dt>Took</dt><dd>${duration(data.until - data.from)}</dd></div>
      <div><dt>Busy</dt><dd title="All steps’ latencies added up">${duration(totals.latency_us)}</dd></div><div><dt>Tokens</dt><dd><${Count} value=${totals.input_tokens + totals.output_tokens} /></dd></div><div><dt>Errors</dt><dd><${Rate} part=${totals.error_rate} bad /></dd></div>
      <div><dt>Began</dt><dd class="small">${fullMoment(data.from, utc).slice(0, 19)}</dd></div></dl>
    <${Waste} data=${data} rows=${rows} />
    <section class="card flush"><div class="card-head bar"><${Choice} site=${site} name="show" value=${show} choices=${SHOWS} label="How to show it" />${show !== 'tree' && html`<${Choice} site=${site} name="by" value=${by} choices=${BY} label="As wide as" />`}</div>
      ${show === 'tree' ? html`<${Tree} site=${site} tree=${data.tree} q=${q} />` : show === 'flame' ? html`<div class="inset"><${Flame} site=${site} tree=${data.tree} by=${by} /></div>` : html`<${Waterfall} site=${site} rows=${rows} by=${by} from=${data.from} until=${data.until} />`}</section>
    <details class="card"><summary>Notes, tags and scores of this session</summary><${Marks} at=${`/api/sessions/${encodeURIComponent(view.id)}/marks`} marks=${data.marks} onChange=${() => setTurn((held) => held + 1)} /></details></div>`;
}
