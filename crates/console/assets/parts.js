// @ts-check
// Small parts that several pages have.
import { html } from './html.js';
import { compact, count, duration, exactMoney, money } from './format.js';
import { isAbsent } from './ask.js';
import { addressOf } from './view.js';

/** A real link that changes the view without loading the page. @param {any} props */
export function Go({ site, to, children, class: kind = '', title, state }) {
  const onClick = (/** @type {MouseEvent} */ event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    event.stopPropagation();
    site.go(to);
  };
  return html`<a href=${addressOf(to)} class=${kind} title=${title} aria-current=${state} onClick=${onClick}>${children}</a>`;
}

/** An amount, its exact figure behind it. @param {{ amount: string | null | undefined, sign?: boolean }} props */
export function Cost({ amount, sign = false }) {
  if (amount === null || amount === undefined) return html`<span class="none">–</span>`;
  const plus = sign && !amount.startsWith('-') && /[1-9]/.test(amount) ? '+' : '';
  return html`<span title=${exactMoney(amount)}>${plus}${money(amount)}</span>`;
}

/** A sum's cost; with what is not in it, where something is not. @param {{ sums: any }} props */
export function Spend({ sums }) {
  return html`<${Cost} amount=${sums.cost} />${sums.unpriced > 0 && html` <span class="unknown" title=${`The cost of ${count(sums.unpriced)} requests is unknown and not part of it`}>+?</span>`}`;
}

/** @param {{ value: number }} props */
export function Count({ value }) {
  return html`<span title=${count(value)}>${compact(value)}</span>`;
}

/** @param {{ us: number | null | undefined }} props */
export function Span({ us }) {
  return html`<span class=${us === null || us === undefined ? 'none' : ''}>${duration(us === null || us === undefined ? us : Math.round(us))}</span>`;
}

/** A rate as a percentage of people's kind. @param {{ part: number | null | undefined, bad?: boolean }} props */
export function Rate({ part, bad = false }) {
  if (part === null || part === undefined) return html`<span class="none">–</span>`;
  return html`<span class=${bad && part > 0 ? (part >= 0.05 ? 'tone-bad' : 'tone-warn') : ''}>${rateText(part)}</span>`;
}

/** @param {number} part */
export function rateText(part) {
  const percent = part * 100;
  return percent === 0 ? '0%' : percent < 0.1 ? '<0.1%' : `${percent.toFixed(percent < 9.95 ? 1 : 0)}%`;
}

/** What a page says where its part of the API is not there or does not answer. @param {{ error: any, what: string }} props */
export function Trouble({ error, what }) {
  if (!error) return null;
  return html`<p class="notice" role="alert">${isAbsent(error) ? `This gateway does not offer ${what}.` : error.message}</p>`;
}

/** A heading with what can be done on the page. @param {any} props */
export function Title({ title, about, children }) {
  return html`<div class="title-row"><div><h1>${title}</h1>${about && html`<p class="muted">${about}</p>`}</div><div class="title-actions">${children}</div></div>`;
}

/** A choice of one of few, as links. @param {{ site: any, name: string, value: string, choices: [string, string][], label: string }} props */
export function Choice({ site, name, value, choices, label }) {
  return html`<div class="choice" role="group" aria-label=${label}>${choices.map(([key, text]) => html`<${Go} site=${site} to=${{ ...site.view, p: { ...site.view.p, [name]: key } }} class=${key === value ? 'chosen' : ''} state=${key === value ? 'true' : null}>${text}<//>`)}</div>`;
}

/** How the text search was bounded, where it was. @param {{ searched: any }} props */
export function Searched({ searched }) {
  if (!searched || searched.complete) return null;
  return html`<p class="notice">Words are looked for in the newest ${count(searched.rows)} requests of this period; narrow it to look further back.</p>`;
}
