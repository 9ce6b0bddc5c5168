// @ts-check
// The filter as text, with completion of fields and values, and its conditions as chips.
import { html, useEffect, useMemo, useRef, useState } from './html.js';
import { getJson } from './api.js';
import { compact } from './format.js';
import { condition, piecesOf, quote, withoutPiece, wordAt } from './query.js';
import { questionOf } from './view.js';

const MOST = 10;
/** Between two keys, before the store is asked for values. */
const PAUSE_MS = 120;

/** Fields whose values are worth proposing first. */
const COMMON = ['model', 'provider', 'user', 'session', 'prompt', 'outcome', 'status', 'error', 'cost', 'latency_us', 'ttft_us', 'tokens', 'cache', 'session_name', 'tag', 'text'];

/** What can be asked about: known once for the page. @type {Promise<any[]> | null} */
let known = null;
function knownFields() {
  known ??= Promise.all([getJson('/api/fields'), getJson('/api/properties').catch(() => ({ properties: [] }))]).then(([{ fields }, { properties }]) => {
    const rank = (/** @type {any} */ field) => (COMMON.indexOf(field.name) + 1 || COMMON.length + 1);
    const own = [...fields].sort((one, other) => rank(one) - rank(other));
    return [...own.slice(0, 8), ...properties.map((/** @type {any} */ { name }) => ({ name: `prop.${name}`, kind: 'text', groups: true })), ...own.slice(8)];
  }).catch(() => ((known = null), []));
  return known;
}

/** @typedef {{ text: string, about: string, insert: string, more: boolean }} Proposal */

/** @param {any} view @param {string} draft @param {number} caret @param {boolean} wanted */
function useProposals(view, draft, caret, wanted) {
  const [proposals, setProposals] = useState(/** @type {Proposal[]} */ ([]));
  const { field, typed } = wordAt(draft, caret);
  useEffect(() => {
    if (!wanted) return undefined;
    let over = false;
    const abort = new AbortController();
    const show = (/** @type {Proposal[]} */ all) => over || setProposals(all.slice(0, MOST));
    const timer = setTimeout(async () => {
      const fields = await knownFields();
      if (field === null) {
        const fits = fields.filter((/** @type {any} */ { name }) => name.toLowerCase().includes(typed.toLowerCase()));
        return show(fits.map((/** @type {any} */ { name, kind }) => ({ text: name, about: ABOUT[kind] ?? '', insert: condition(name, 'x').slice(0, -1), more: true })));
      }
      const own = fields.find((/** @type {any} */ { name }) => name === field);
      if (!own?.groups) return show([]);
      const question = questionOf({ ...view, q: '' }, Date.now(), { fields: field, prefix: typed, limit: MOST });
      const { facets } = await getJson(`/api/facets?${question}`, abort.signal).catch(() => ({ facets: [] }));
      const values = (facets[0]?.values ?? []).filter((/** @type {any} */ { value }) => value !== null);
      return show(values.map((/** @type {any} */ { value, count }) => ({ text: value, about: compact(count), insert: `${condition(field, 'x').slice(0, -1)}${quote(value)} `, more: false })));
    }, PAUSE_MS);
    return () => {
      over = true;
      clearTimeout(timer);
      abort.abort();
    };
  }, [field, typed, wanted, view.range, view.from, view.until]);
  return proposals;
}

/** @type {Record<string, string>} */
const ABOUT = { money: 'USD: cost>0.01', span: 'time: >2s', int: 'number: >1000', rate: 'number', flag: 'true, false', body: 'words in request and answer', time: 'moment', texts: 'tags', decimal: 'number', id: 'id' };

/** @param {{ view: any, inputRef: any, onQuery: (q: string) => void, onOpen: (id: string) => void }} props */
export function QueryBar({ view, inputRef, onQuery, onOpen }) {
  const [draft, setDraft] = useState(view.q);
  const [caret, setCaret] = useState(0);
  const [at, setAt] = useState(-1);
  const [focused, setFocused] = useState(false);
  const list = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => setDraft(view.q), [view.q]);
  const proposals = useProposals(view, draft, caret, focused);
  useEffect(() => setAt(-1), [proposals]);
  useEffect(() => list.current?.children[at]?.scrollIntoView({ block: 'nearest' }), [at]);

  const take = (/** @type {Proposal} */ { insert }) => {
    const { start, end } = wordAt(draft, caret);
    const next = draft.slice(0, start) + insert + draft.slice(end).trimStart();
    setDraft(next);
    setCaret(start + insert.length);
    setAt(-1);
    requestAnimationFrame(() => inputRef.current?.setSelectionRange(start + insert.length, start + insert.length));
  };
  const submit = () => {
    const text = draft.trim();
    inputRef.current?.blur();
    if (/^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i.test(text)) {
      setDraft(view.q);
      return onOpen(text.toLowerCase());
    }
    onQuery(text);
  };
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && proposals.length) {
      event.preventDefault();
      setAt((held) => (held + step + proposals.length) % proposals.length);
    } else if (event.key === 'Tab' && focused && proposals.length && (at >= 0 || draft.trim())) {
      event.preventDefault();
      take(proposals[Math.max(0, at)]);
    } else if (event.key === 'Enter') {
      event.preventDefault();
      if (proposals[at]) take(proposals[at]);
      else submit();
    } else if (event.key === 'Escape') {
      event.stopPropagation();
      setDraft(view.q);
      inputRef.current?.blur();
    }
  };
  const onInput = (/** @type {any} */ event) => {
    setDraft(event.target.value);
    setCaret(event.target.selectionStart ?? event.target.value.length);
  };
  const open = focused && proposals.length > 0;
  return html`<div class="search" role="search">
    <svg class="glass" viewBox="0 0 24 24" width="14" height="14" aria-hidden="true"><path d="M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM15.5 15.5L21 21" /></svg>
    <input ref=${inputRef} type="text" role="combobox" value=${draft} placeholder="Filter: model:… user:… cost>0.01, words, or an id" aria-label="Filter requests"
      aria-expanded=${open} aria-controls="suggestions" aria-activedescendant=${at >= 0 ? `suggestion-${at}` : null} aria-autocomplete="list"
      autocomplete="off" autocapitalize="off" spellcheck=${false} onInput=${onInput} onKeyDown=${onKeyDown} onClick=${onInput} onFocus=${() => setFocused(true)} onBlur=${() => setFocused(false)} />
    ${draft ? html`<button type="button" class="quiet clear" aria-label="Clear the filter" onClick=${() => (setDraft(''), onQuery(''))}>✕</button>` : html`<kbd aria-hidden="true">/</kbd>`}
    ${open && html`<div class="suggestions" onMouseDown=${(/** @type {Event} */ event) => event.preventDefault()}>
      <ul id="suggestions" role="listbox" aria-label="Proposals" ref=${list}>${proposals.map((each, index) => html`<li id=${`suggestion-${index}`} role="option"
        aria-selected=${index === at} onClick=${() => take(each)}><span class="value">${each.text}</span><span class="count">${each.about}</span></li>`)}</ul>
      <p class="keys"><kbd>Tab</kbd> take <kbd>Enter</kbd> filter · <code>-</code> turns round · <code>OR</code> · <code>model:gpt*</code> · <code>user:*</code></p></div>`}
  </div>`;
}

/** @param {{ q: string, onQuery: (q: string) => void }} props */
export function Chips({ q, onQuery }) {
  const pieces = useMemo(() => piecesOf(q), [q]);
  if (pieces.length === 0) return null;
  return html`<div class="chips" role="group" aria-label="Filters">${pieces.map(({ text, field, value, negated }, at) => html`<span class=${`chip ${negated ? 'not' : ''}`}>${field === null ? text : html`<span class="field">${negated ? 'not ' : ''}${field}</span> ${value}`}
    <button type="button" aria-label=${`Remove the filter ${text}`} onClick=${() => onQuery(withoutPiece(q, at))}>✕</button></span>`)}
    <button type="button" class="quiet" onClick=${() => onQuery('')}>Clear</button></div>`;
}
