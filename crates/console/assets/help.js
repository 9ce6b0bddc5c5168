// @ts-check
import { html, useEffect, useRef } from './html.js';

const KEYS = [
  ['j  k', 'next and previous request, also with the drawer open'],
  ['Enter', 'open the request'],
  ['Esc', 'close what is open'],
  ['/', 'filter'],
  ['t', 'next tab of the open request'],
  ['u', 'UTC or local time'],
  ['d', 'dark or light'],
  ['l', 'stop or start the live feed'],
  ['?', 'this page'],
];

/** @param {{ onClose: () => void }} props */
export function Help({ onClose }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => dialog.current?.showModal(), []);
  return html`<dialog ref=${dialog} class="help" aria-labelledby="help-title" onClose=${onClose} onClick=${(/** @type {any} */ event) => event.target === dialog.current && onClose()}>
    <h2 id="help-title">Keys</h2>
    <dl>${KEYS.map(([keys, about]) => html`<div><dt>${keys.split('  ').map((key) => html`<kbd>${key}</kbd>`)}</dt><dd>${about}</dd></div>`)}</dl>
    <p class="muted">Click any value to see only requests with it. The address holds the whole view: copy it to share what you see.
    Everything here is also at <a href="/api/openapi.json">/api</a> for programs.</p>
    <form method="dialog"><button class="primary" autofocus>Close</button></form>
  </dialog>`;
}
