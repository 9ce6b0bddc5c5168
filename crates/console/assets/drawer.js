// @ts-check
import { html, useEffect, useRef, useState } from './html.js';
import { getJson } from './api.js';
import { Body } from './bodies.js';
import { Conversation } from './conversation.js';
import { Copy } from './copy.js';
import { Details } from './details.js';
import { compact, count, duration, percent } from './format.js';
import { hueOf, outcomeOf } from './outcome.js';
import { Receipt } from './receipt.js';
import { CostFigure } from './columns.js';
import { curlOf } from './curl.js';
import { Marks } from './marks.js';
import { TimingStrip } from './timing.js';
import { TABS, addressOf, onPage } from './view.js';

/** @type {Record<string, { label: string, show: (call: any, onPick: any, again: () => void) => any }>} */
const TAB = {
  conversation: { label: 'Conversation', show: (call) => html`<${Conversation} call=${call} />` },
  cost: { label: 'Cost', show: (call) => html`<${Receipt} call=${call} />` },
  request: { label: 'Request', show: (call) => html`<${Body} key="request" body=${call.request} name="request" id=${call.id} />` },
  response: { label: 'Response', show: (call) => html`<${Body} key="response" body=${call.response} name="response" id=${call.id} />` },
  details: { label: 'Details', show: (call, onPick) => html`<${Details} call=${call} onPick=${onPick} />` },
  notes: { label: 'Notes', show: (call, _, again) => html`<${Marks} key=${call.id} at=${`/api/requests/${call.id}/marks`} marks=${call.marks} onChange=${again} />` },
};

/**
 * The call, once it is there. The last one stays until the next has come, so that j and k do not flicker.
 * @param {string} id
 */
function useCall(id) {
  const [turn, setTurn] = useState(0);
  const [state, setState] = useState(/** @type {{ call: any, error: Error | null }} */ ({ call: null, error: null }));
  useEffect(() => {
    const abort = new AbortController();
    getJson(`/api/requests/${encodeURIComponent(id)}`, abort.signal)
      .then((call) => setState({ call, error: null }))
      .catch((error) => error.name !== 'AbortError' && setState({ call: null, error }));
    return () => abort.abort();
  }, [id, turn]);
  return { ...state, again: () => setTurn((held) => held + 1) };
}

/** @param {{ call: any }} props */
function Figures({ call }) {
  const { usage, timing } = call;
  const seconds = timing.first_token_us === null ? 0 : (timing.end_us - timing.first_token_us) / 1e6;
  const speed = usage && seconds > 0.05 ? (usage.output_tokens / seconds).toFixed(0) : null;
  const figures = [
    ['Cost', html`<${CostFigure} call=${call} />`],
    ['Latency', duration(timing.end_us)],
    ['TTFT', duration(timing.first_token_us)],
    ['Tokens in', usage ? html`<span title=${count(usage.input_tokens)}>${compact(usage.input_tokens)}</span>` : '–', usage?.cache_read_tokens ? `${percent(usage.cache_read_tokens, usage.input_tokens)} cached` : null],
    ['Tokens out', usage ? html`<span title=${count(usage.output_tokens)}>${compact(usage.output_tokens)}</span>` : '–', speed && `${speed}/s`],
  ];
  return html`<dl class="figures">${figures.map(([label, figure, note]) => html`<div><dt>${label}</dt><dd>${figure}${note && html`<span class="note">${note}</span>`}</dd></div>`)}</dl>`;
}

/** @param {any} props */
function Tabs({ view, tab, onTab }) {
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = TABS[(TABS.indexOf(tab) + step + TABS.length) % TABS.length];
    onTab(next);
    document.getElementById(`tab-${next}`)?.focus();
  };
  return html`<div class="tabs" role="tablist" aria-label="Parts of the request" onKeyDown=${onKeyDown}>${TABS.map((name) => html`<a role="tab" id=${`tab-${name}`} href=${addressOf({ ...view, tab: name })}
    aria-selected=${name === tab} aria-controls="tab-panel" tabindex=${name === tab ? 0 : -1}
    onClick=${(/** @type {Event} */ event) => (event.preventDefault(), onTab(name))}>${TAB[name].label}</a>`)}</div>`;
}

/**
 * One call.
 * @param {any} props
 */
export function Drawer({ view, utc, marked, onClose, onStep, onTab, onPick, onMark }) {
  const { call, error, again } = useCall(view.open);
  const heading = useRef(/** @type {HTMLElement | null} */ (null));
  const scroller = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => heading.current?.focus({ preventScroll: true }), []);
  useEffect(() => scroller.current?.scrollTo(0, 0), [call?.id, view.tab]);
  const outcome = call && outcomeOf(call.outcome);
  const close = html`<button type="button" class="quiet icon" aria-label="Close" title="Close (Esc)" onClick=${onClose}>✕</button>`;
  return html`<aside class="drawer" role="dialog" aria-label="Request" ref=${scroller}>
    <header class="drawer-head">
      <div class="title" tabindex="-1" ref=${heading}>
        <h2>${call ? call.model ?? call.requested_model ?? call.path : error ? 'Request' : '…'}</h2>
        ${call && html`<p><span class=${`badge tone-${outcome.tone}`} title=${outcome.about}>${outcome.label}${call.status === null ? '' : ` ${call.status}`}</span>
          ${call.provider && html`<span><i class=${`dot ${hueOf(call.provider)}`}></i>${call.provider}</span>`}<span class="muted">${call.api}</span></p>`}
      </div>
      <div class="actions"><button type="button" class="quiet icon" aria-label="Newer request" title="Newer (k)" onClick=${() => onStep(-1)}>↑</button>
        <button type="button" class="quiet icon" aria-label="Older request" title="Older (j)" onClick=${() => onStep(1)}>↓</button>
        ${call?.request.text !== undefined && html`<${Copy} text=${curlOf(call, location.origin)} label="curl" name="the request as a curl command" />`}
        <${Copy} text=${location.origin + addressOf(onPage({ ...view, q: '' }, 'requests', { open: view.open, tab: view.tab }))} label="Link" name="the link to this request" />
        <button type="button" class="quiet" aria-pressed=${marked === view.open} title="Mark it; with another one marked, compare the two (c)" onClick=${() => onMark(view.open)}>${marked && marked !== view.open ? 'Compare' : 'Mark'}</button>${close}</div>
    </header>
    ${error && html`<div class="notice bad" role="alert">${error.message}</div>`}
    ${call && html`
      ${call.error && html`<div class="notice bad"><b>${call.error.code ?? call.error.kind}</b> ${call.error.message}</div>`}
      <${Figures} call=${call} />
      <${TimingStrip} timing=${call.timing} utc=${utc} />
      <${Tabs} view=${view} tab=${view.tab} onTab=${onTab} />
      <div id="tab-panel" role="tabpanel" aria-labelledby=${`tab-${view.tab}`} tabindex="0">${TAB[view.tab].show(call, onPick, again)}</div>`}
  </aside>`;
}
