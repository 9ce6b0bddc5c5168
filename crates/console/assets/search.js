// @ts-check
import { html, useEffect, useMemo, useRef, useState } from './html.js';
import { OUTCOMES, outcomeOf } from './outcome.js';
import { readSearch } from './view.js';

/** Fields that are suggested from the values in the list. */
const SUGGESTED = ['model', 'provider', 'user', 'session', 'outcome', 'status', 'property'];
const MOST = 9;

/** @param {any} call @param {string} field @returns {string[]} */
function valuesOf(call, field) {
  if (field === 'property') return Object.entries(call.properties).map(([name, value]) => `${name}:${value}`);
  const value = field === 'session' ? call.session?.id : call[field];
  return value === null || value === undefined ? [] : [String(value)];
}

/**
 * Values of the loaded calls that go with what was typed, the commonest first.
 * @param {any[]} rows
 * @param {string} text
 * @returns {{ field: string, value: string, count: number }[]}
 */
function suggest(rows, text) {
  const [, named, after] = /^([a-z]+):(.*)$/i.exec(text) ?? [];
  const field = named && SUGGESTED.includes(named.toLowerCase()) ? named.toLowerCase() : null;
  const wanted = (field ? after : text).toLowerCase();
  const counts = new Map();
  const fields = field ? [field] : SUGGESTED;
  if (fields.includes('outcome')) for (const outcome of Object.keys(OUTCOMES)) counts.set(`outcome\n${outcome}`, 0);
  for (const call of rows) {
    for (const each of fields) {
      for (const value of valuesOf(call, each)) counts.set(`${each}\n${value}`, (counts.get(`${each}\n${value}`) ?? 0) + 1);
    }
  }
  const found = [...counts].map(([key, count]) => ({ field: key.split('\n')[0], value: key.slice(key.indexOf('\n') + 1), count }));
  const fits = found.filter(({ field, value, count }) =>
    (count > 0 || wanted) && (value.toLowerCase().includes(wanted) || (field === 'outcome' && outcomeOf(value).label.toLowerCase().includes(wanted))));
  return fits.sort((one, other) => other.count - one.count).slice(0, MOST);
}

/**
 * The search field: `field:value`, or a part of any value that is on the page.
 * @param {{ rows: any[], inputRef: any, onFilters: (filters: Record<string, string>) => void, onOpen: (id: string) => void }} props
 */
export function Search({ rows, inputRef, onFilters, onOpen }) {
  const [text, setText] = useState('');
  const [focused, setFocused] = useState(false);
  const [at, setAt] = useState(-1);
  const [complaint, setComplaint] = useState('');
  const list = useRef(/** @type {HTMLElement | null} */ (null));
  const word = text.trimStart();
  const found = useMemo(() => (focused ? suggest(rows, word) : []), [focused, rows, word]);
  useEffect(() => list.current?.children[at]?.scrollIntoView({ block: 'nearest' }), [at]);

  const done = () => {
    setText('');
    setAt(-1);
    setComplaint('');
    inputRef.current?.blur();
  };
  const take = (/** @type {{ field: string, value: string }} */ { field, value }) => {
    onFilters({ [field]: value });
    done();
  };
  const submit = () => {
    if (at >= 0 && found[at]) return take(found[at]);
    const { filters, open, rest } = readSearch(text);
    if (rest.length && found.length) return take(found[0]);
    if (rest.length) return setComplaint(`Nothing on this page contains “${rest.join(' ')}”. Write field:value, such as user:ada.`);
    if (open) onOpen(open);
    if (Object.keys(filters).length) onFilters(filters);
    done();
  };
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      setAt((held) => (found.length ? (held + step + found.length) % found.length : -1));
    } else if (event.key === 'Enter') {
      event.preventDefault();
      submit();
    } else if (event.key === 'Escape') {
      event.stopPropagation();
      done();
    }
  };
  const onInput = (/** @type {any} */ event) => {
    setText(event.target.value);
    setAt(-1);
    setComplaint('');
  };
  const open = focused && (found.length > 0 || complaint);
  return html`<div class="search" role="search">
    <input ref=${inputRef} type="text" role="combobox" value=${text} placeholder="Filter: model:… user:… Property:value, or an id" aria-label="Filter requests"
      aria-expanded=${Boolean(open)} aria-controls="suggestions" aria-activedescendant=${at >= 0 ? `suggestion-${at}` : null} aria-autocomplete="list"
      autocomplete="off" spellcheck=${false} onInput=${onInput} onKeyDown=${onKeyDown} onFocus=${() => setFocused(true)} onBlur=${() => setFocused(false)} />
    <kbd aria-hidden="true">/</kbd>
    ${open && html`<div class="suggestions" onMouseDown=${(/** @type {Event} */ event) => event.preventDefault()}>
      ${complaint && html`<p role="alert">${complaint}</p>`}
      <ul id="suggestions" role="listbox" aria-label="Values on this page" ref=${list}>${found.map((each, index) => html`<li id=${`suggestion-${index}`} role="option"
        aria-selected=${index === at} onClick=${() => take(each)}><span class="field">${each.field}</span><span class="value">${each.value}</span>
        <span class="count">${each.count || ''}</span></li>`)}</ul></div>`}
  </div>`;
}
