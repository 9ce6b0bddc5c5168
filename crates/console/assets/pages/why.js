// @ts-check
// Why the bill moved between two periods, and where the month will end.
import { html } from '../html.js';
import { useAsk } from '../ask.js';
import { axisMoney } from '../axis.js';
import { exactMoney, fullMoment, money } from '../format.js';
import { Cost, Go, Searched, Title, Trouble } from '../parts.js';
import { change, ticks } from '../scale.js';
import { onPage } from '../view.js';
import { Mover } from './overview.js';

/** @type {Record<string, [string, string]>} */
const PARTS = {
  volume: ['More or fewer requests', 'at what a request cost before'],
  input_length: ['Longer or shorter input', 'more or fewer tokens read by each request'],
  output_length: ['Longer or shorter answers', 'more or fewer tokens written by each request'],
  cache_rate: ['More or less from caches', 'the part of the input that a provider’s cache served'],
  model_mix: ['Other models', 'requests moved to dearer or cheaper ones'],
  price: ['Other prices', 'what the same tokens cost now'],
  retries: ['Retries', 'attempts that were paid for and did not serve'],
  other: ['Other', 'what has no tokens: searches, pictures, seconds'],
};

/** The parts as a waterfall from the bill before to the bill now. @param {{ before: string, after: string, parts: any[] }} props */
function Bridge({ before, after, parts }) {
  const steps = [{ label: 'Before', from: 0, to: Number(before), kind: 'whole', amount: before }];
  let at = Number(before);
  for (const { part, amount } of parts) {
    if (!/[1-9]/.test(amount)) continue;
    steps.push({ label: PARTS[part]?.[0] ?? part, from: at, to: at + Number(amount), kind: Number(amount) > 0 ? 'more' : 'less', amount });
    at += Number(amount);
  }
  steps.push({ label: 'After', from: 0, to: Number(after), kind: 'whole', amount: after });
  const marks = ticks(Math.max(...steps.flatMap(({ from, to }) => [from, to])));
  const top = marks[marks.length - 1];
  const low = Math.min(0, ...steps.flatMap(({ from, to }) => [from, to]));
  const place = (/** @type {number} */ value) => (100 * (value - low)) / (top - low);
  return html`<div class="bridge" role="table" aria-label="From the bill before to the bill after">${steps.map(({ label, from, to, kind, amount }) => html`<div role="row" class="bridge-row"><span role="cell">${label}</span>
    <span role="cell" class="bridge-lane"><i class=${kind} style=${{ left: `${place(Math.min(from, to))}%`, width: `${Math.max(0.4, place(Math.max(from, to)) - place(Math.min(from, to)))}%` }}></i></span>
    <span role="cell" class=${`number ${kind === 'more' ? 'tone-bad' : kind === 'less' ? 'tone-good' : ''}`}><${Cost} amount=${amount} sign=${kind !== 'whole'} /></span></div>`)}</div>`;
}

/** @param {{ site: any, field: string, top: any[], before: string }} props */
function Contributors({ site, field, top }) {
  const moved = top.filter(({ change }) => /[1-9]/.test(change));
  if (moved.length === 0) return null;
  const most = Math.max(...moved.map((mover) => Math.abs(Number(mover.change))));
  return html`<section class="card flush"><div class="card-head bar"><h2>${field.replace(/^prop\./, 'Property ').replaceAll('_', ' ').replace(/^./, (letter) => letter.toUpperCase())}</h2></div>
    <table class="grid-table" aria-label=${`By ${field}`}><tbody>${moved.map((mover) => html`<tr><td><${Mover} site=${site} mover=${mover} bare /></td>
      <td class="number"><span class="share" title=${`${exactMoney(mover.before)} → ${exactMoney(mover.after)}`}><span class=${Number(mover.change) > 0 ? 'tone-bad' : 'tone-good'}><${Cost} amount=${mover.change} sign /></span><i class=${Number(mover.change) > 0 ? 'more' : 'less'} style=${{ width: `${(100 * Math.abs(Number(mover.change))) / most}%` }}></i></span></td></tr>`)}</tbody></table></section>`;
}

/** The month so far and its likely end. @param {{ site: any }} props */
function Forecast({ site }) {
  const { view, offset, utc } = site;
  const { data, error } = useAsk(`/api/forecast?${new URLSearchParams({ offset_minutes: String(offset), ...(view.q ? { q: view.q } : {}) })}`, Math.floor(site.now / 300_000));
  if (error) return html`<${Trouble} error=${error} what="a forecast" />`;
  if (!data) return html`<div class="waiting"></div>`;
  const { forecast, spent, days, month_from: from, month_until: until, now } = data;
  const [width, height, left, low] = [640, 190, 64, 22];
  let sum = 0;
  const known = days.map((/** @type {any} */ day) => ({ at: Math.min(now, day.at + 86_400e6), sum: (sum += Number(day.bill)) }));
  const most = forecast ? Number(forecast.high) : Number(spent);
  const marks = ticks(most);
  const x = (/** @type {number} */ at) => left + ((at - from) / (until - from)) * (width - left - 8);
  const y = (/** @type {number} */ value) => 8 + (1 - value / marks[marks.length - 1]) * (height - 8 - low);
  const line = [[from, 0], ...known.map((/** @type {any} */ day) => [day.at, day.sum])];
  const end = line[line.length - 1];
  return html`<section class="card"><h2>This month</h2>
    <p class="lead">${money(spent)} so far. ${forecast ? html`It will likely end at <b title=${exactMoney(forecast.expected)}>${money(forecast.expected)}</b>, four of five times between <b>${money(forecast.low)}</b> and <b>${money(forecast.high)}</b>.` : `A forecast needs ${data.needs_days} days of history; there are ${data.days_known}.`}</p>
    <svg viewBox=${`0 0 ${width} ${height}`} class="forecast" role="img" aria-label="Spend of the month, added up, with its forecast; the figures stand above">
      ${marks.map((mark) => html`<g><line class="grid" x1=${left} x2=${width - 8} y1=${y(mark)} y2=${y(mark)} /><text class="tick" x=${left - 6} y=${y(mark) + 4} text-anchor="end">${axisMoney(mark)}</text></g>`)}
      ${forecast && html`<path class="band" d=${`M${x(end[0])} ${y(end[1])}L${x(until)} ${y(Number(forecast.high))}L${x(until)} ${y(Number(forecast.low))}Z`} /><path class="line expected" d=${`M${x(end[0])} ${y(end[1])}L${x(until)} ${y(Number(forecast.expected))}`} />`}
      <path class="line hue-5" d=${`M${line.map(([at, value]) => `${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join('L')}`} />
      ${[from, (from + until) / 2, until - 1].map((at, which) => html`<text class="tick" x=${x(at)} y=${height - 6} text-anchor=${['start', 'middle', 'end'][which]}>${fullMoment(at, utc).slice(5, 10)}</text>`)}</svg>
    ${forecast && html`<p class="muted">Tried on ${forecast.backtest.windows} earlier stretches: ${forecast.backtest.covered} ended inside their band${forecast.backtest.mean_error === null ? '' : `, on average ${(forecast.backtest.mean_error * 100).toFixed(1)}% off`}.</p>`}</section>`;
}

/** @param {{ site: any }} props */
export function Why({ site }) {
  const { view, utc } = site;
  const open = view.range !== 'all' || view.from !== null;
  const { data, error, stale } = useAsk(open ? `/api/why?${site.ask({ top: 8 })}` : null);
  const moved = data && change(Number(data.after.bill), Number(data.before.bill));
  const period = (/** @type {any} */ { from, until }) => `${fullMoment(from, utc).slice(5, 16)} – ${fullMoment(until, utc).slice(5, 16)}`;
  return html`<div class="pad"><${Title} title="Why the bill moved" about="The period chosen above against the one before it" />
    ${!open && html`<p class="notice">All time has no period before it. Choose a range, such as the last 24 hours.</p>`}
    <${Trouble} error=${error} what="the reasons of a change" /><${Searched} searched=${data?.searched} />
    ${!data && !error && open && html`<div class="waiting tall"></div>`}
    ${data && html`<div class=${`charts ${stale ? 'stale' : ''}`}>
      <section class="card"><div class="card-head"><h2>From ${money(data.before.bill)} to ${money(data.after.bill)}</h2><b class=${Number(data.change) > 0 ? 'tone-bad' : 'tone-good'}><${Cost} amount=${data.change} sign />${moved && ` (${moved.text})`}</b></div>
        <${Bridge} before=${data.before.bill} after=${data.after.bill} parts=${data.parts} />
        <details class="about-parts"><summary class="muted">What the parts mean, and all digits</summary><dl class="facts">${data.parts.map((/** @type {any} */ { part, amount }) => html`<div><dt>${PARTS[part]?.[0] ?? part}</dt><dd>${exactMoney(amount)} <span class="muted">${PARTS[part]?.[1] ?? ''}</span></dd></div>`)}<div><dt>Sum</dt><dd>${exactMoney(data.change)}</dd></div></dl>
          <p class="muted">${period(data.before)} against ${period(data.after)}</p></details></section>
      <section class="card cause"><h2>The likeliest cause</h2>${data.cause ? html`<p class="lead big"><${Mover} site=${site} mover=${data.cause} /></p>
          <p>It went from <b><${Cost} amount=${data.cause.before} /></b> to <b><${Cost} amount=${data.cause.after} /></b>, in ${data.cause.requests_before} and then ${data.cause.requests_after} requests.</p>
          <ul class="movers">${data.cause.parts.filter((/** @type {any} */ { amount }) => /[1-9]/.test(amount)).map((/** @type {any} */ { part, amount }) => html`<li>${PARTS[part]?.[0] ?? part}<span class=${`number ${Number(amount) > 0 ? 'tone-bad' : 'tone-good'}`}><${Cost} amount=${amount} sign /></span></li>`)}</ul>
          <p class="cause-links"><${Go} site=${site} to=${site.requestsOf(data.cause.field, data.cause.value.split(data.cause.field === 'prompt' ? /@(?=[^@]*$)/ : /$^/)[0])} class="button bordered">Its requests<//>
            ${data.cause.field === 'user' && html`<${Go} site=${site} to=${onPage(view, 'users', { id: data.cause.value })} class="button bordered">The user<//>`}
            ${data.cause.field === 'prompt' && html`<${Go} site=${site} to=${onPage(view, 'prompts', { id: data.cause.value.replace(/@[^@]*$/, '') })} class="button bordered">The prompt<//>`}</p>` : html`<p class="muted">Nothing stands out: all moved alike.</p>`}</section></div>
    <div class="charts three">${data.contributors.map((/** @type {any} */ { field, top }) => html`<${Contributors} key=${field} site=${site} field=${field} top=${top} />`)}</div>`}
    <${Forecast} site=${site} /></div>`;
}
