// @ts-check
import { html, useEffect, useRef } from './html.js';
import { NAVIGATION } from './navigation.js';

const KEYS = [
  ['j  k', 'next and previous row, also with the drawer open'],
  ['Enter', 'open the row'],
  ['Esc', 'close what is open'],
  ['/', 'filter'],
  ['Ctrl-K', 'go anywhere'],
  ['[  ]', 'the period before, the period after'],
  ['t', 'next tab of the open request'],
  ['c', 'mark a request; again on another one, compare the two'],
  ['u', 'UTC or local time'],
  ['d', 'dark or light'],
  ['l', 'stop or start live mode'],
  ['r', 'ask again'],
  ['?', 'this page'],
];

/** @param {{ onClose: () => void }} props */
export function Help({ onClose }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => dialog.current?.showModal(), []);
  const pages = NAVIGATION.map(({ key, label }) => [`g  ${key}`, label]);
  const lines = (/** @type {string[][]} */ all) => html`<dl>${all.map(([keys, about]) => html`<div><dt>${keys.split('  ').map((key) => html`<kbd>${key}</kbd>`)}</dt><dd>${about}</dd></div>`)}</dl>`;
  return html`<dialog ref=${dialog} class="help" aria-labelledby="help-title" onClose=${onClose} onClick=${(/** @type {any} */ event) => event.target === dialog.current && dialog.current?.close()}>
    <h2 id="help-title">Keys</h2>
    <div class="help-columns">${lines(KEYS)}${lines(pages)}</div>
    <p class="muted">Click any value to see only rows with it; with Alt, to leave them out. Drag over a chart to zoom. The address holds the whole view:
    copy it to share what you see. Everything here is also at <a href="/api/openapi.json">/api</a> for programs.</p>
    <form method="dialog"><button class="primary" autofocus>Close</button></form>
  </dialog>`;
}
