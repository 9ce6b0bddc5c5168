// @ts-check
// Go anywhere: pages, things by name, and what can be switched.
import { html, useEffect, useMemo, useRef, useState } from './html.js';
import { useAsk } from './ask.js';
import { NAVIGATION } from './navigation.js';
import { RANGES, onPage, questionOf } from './view.js';
import { withCondition } from './query.js';

const THINGS = /** @type {Record<string, (view: any, value: string) => any>} */ ({
  user: (view, value) => onPage({ ...view, q: '' }, 'users', { id: value }),
  session: (view, value) => onPage({ ...view, q: '' }, 'sessions', { id: value }),
  prompt: (view, value) => onPage({ ...view, q: '' }, 'prompts', { id: value }),
  model: (view, value) => onPage({ ...view, q: withCondition('', 'model', value) }, 'requests'),
});

/** @param {{ view: any, onGo: (next: any) => void, onClose: () => void, actions: { label: string, run: () => void }[] }} props */
export function Palette({ view, onGo, onClose, actions }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const list = useRef(/** @type {HTMLElement | null} */ (null));
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  useEffect(() => dialog.current?.showModal(), []);
  const prefix = text.trim();
  const question = prefix.length > 1 ? questionOf({ ...view, q: '' }, Math.floor(Date.now() / 60_000) * 60_000, { fields: Object.keys(THINGS).join(','), prefix, limit: 4 }) : null;
  const { data } = useAsk(question && `/api/facets?${question}`);
  const found = useMemo(() => {
    const wanted = prefix.toLowerCase();
    const fits = (/** @type {string} */ label) => label.toLowerCase().includes(wanted);
    const things = (prefix.length > 1 ? data?.facets ?? [] : []).flatMap((/** @type {any} */ { field, values }) => values.map((/** @type {any} */ { value }) => ({ kind: field, label: value, run: () => onGo(THINGS[field](view, value)) })));
    const ranges = Object.entries(RANGES).map(([range, { label }]) => ({ kind: 'period', label, run: () => onGo({ ...view, range, from: null, until: null }) }));
    const id = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i.test(prefix) ? [{ kind: 'request', label: prefix, run: () => onGo(onPage(view, 'requests', { open: prefix.toLowerCase() })) }] : [];
    const pages = NAVIGATION.filter(({ label, about }) => fits(label) || fits(about)).map(({ page, label, about }) => ({ kind: 'page', label, about, run: () => onGo(onPage(view, page)) }));
    const others = [...actions.map((action) => ({ kind: 'do', ...action })), ...ranges].filter(({ label }) => wanted && fits(label));
    const filter = prefix ? [{ kind: 'filter', label: prefix, run: () => onGo(onPage({ ...view, q: prefix }, 'requests')) }] : [];
    return [...id, ...pages, ...things, ...others, ...filter];
  }, [prefix, data, view]);
  useEffect(() => setAt(0), [prefix]);
  useEffect(() => list.current?.children[at]?.scrollIntoView({ block: 'nearest' }), [at]);
  const run = (/** @type {any} */ one) => {
    dialog.current?.close();
    one?.run();
  };
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      setAt((held) => (held + step + found.length) % Math.max(1, found.length));
    } else if (event.key === 'Enter') {
      event.preventDefault();
      run(found[at]);
    }
  };
  return html`<dialog ref=${dialog} class="palette" aria-label="Go anywhere" onClose=${onClose} onClick=${(/** @type {any} */ event) => event.target === dialog.current && dialog.current?.close()}>
    <input type="text" role="combobox" aria-expanded="true" aria-controls="palette-list" aria-activedescendant=${`palette-${at}`} aria-label="Go anywhere" placeholder="Page, user, session, model, prompt, request id …" value=${text} autofocus spellcheck=${false}
      onInput=${(/** @type {any} */ event) => setText(event.target.value)} onKeyDown=${onKeyDown} />
    <ul id="palette-list" role="listbox" aria-label="Found" ref=${list}>${found.map((/** @type {any} */ one, /** @type {number} */ index) => html`<li id=${`palette-${index}`} role="option" aria-selected=${index === at} onClick=${() => run(one)} onMouseMove=${() => setAt(index)}>
      <span class="kind">${one.kind}</span><span class="value">${one.label}</span>${one.about && html`<span class="about">${one.about}</span>`}</li>`)}</ul>
  </dialog>`;
}
