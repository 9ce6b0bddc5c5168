// @ts-check
// SQL over one's own rows, with what there is to ask about beside it.
import { html, useEffect, useRef, useState } from '../html.js';
import { sendJson } from '../api.js';
import { useAsk } from '../ask.js';
import { bytes, count } from '../format.js';
import { Title, Trouble } from '../parts.js';

const FIRST = `SELECT user_id, model, count(*) AS requests, sum(cost) AS spend
FROM requests
GROUP BY user_id, model
ORDER BY spend DESC
LIMIT 20`;

/** A value as CSV has it. @param {unknown} value */
export function csvCell(value) {
  const text = value === null || value === undefined ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value);
  // A spreadsheet would run it.
  const safe = typeof value === 'string' && /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** @param {any} table */
function download(table) {
  const lines = [table.columns, ...table.rows].map((/** @type {unknown[]} */ row) => row.map(csvCell).join(','));
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([`${lines.join('\r\n')}\r\n`], { type: 'text/csv' }));
  link.download = 'query.csv';
  link.click();
  URL.revokeObjectURL(link.href);
}

/** @param {{ onInsert: (text: string) => void }} props */
function Schema({ onInsert }) {
  const { data, error } = useAsk('/api/sql/schema');
  if (error) return html`<${Trouble} error=${error} what="SQL" />`;
  return html`<aside class="schema card" aria-label="What can be asked">${(data?.tables ?? []).map((/** @type {any} */ { name, about, columns }, /** @type {number} */ at) => html`<details open=${at === 0}><summary><b>${name}</b></summary><p class="muted">${about}</p>
    <ul>${columns.map((/** @type {any} */ column) => html`<li><button type="button" class="pick" onClick=${() => onInsert(column.name)}>${column.name}</button> <span class="muted">${column.type}</span></li>`)}</ul></details>`)}</aside>`;
}

/** @param {{ sql: string, onOpen: (sql: string) => void }} props */
function Saved({ sql, onOpen }) {
  const [turn, setTurn] = useState(0);
  const { data } = useAsk('/api/kept/saved_query', turn);
  const again = () => setTurn((held) => held + 1);
  const save = (/** @type {any} */ event) => {
    event.preventDefault();
    const name = String(new FormData(event.target).get('name')).trim();
    if (name) sendJson('POST', '/api/kept/saved_query', { name, sql }).then(() => (event.target.reset(), again()));
  };
  return html`<div class="saved">${(data?.kept ?? []).map((/** @type {any} */ { id, body }) => html`<span class="chip"><button type="button" class="pick" onClick=${() => onOpen(body.sql ?? '')}>${body.name ?? 'without a name'}</button> <button type="button" aria-label=${`Remove the query ${body.name}`} onClick=${() => sendJson('DELETE', `/api/kept/saved_query/${id}`).then(again)}>✕</button></span>`)}
    <form onSubmit=${save}><input class="field-input" name="name" required placeholder="Save as …" aria-label="Name of this query" /><button class="quiet bordered">Save</button></form></div>`;
}

/** @param {{ site: any }} props */
export function Query({ site }) {
  const [sql, setSql] = useState(site.view.p.sql ?? FIRST);
  const [state, setState] = useState(/** @type {{ table: any, error: any, busy: boolean }} */ ({ table: null, error: null, busy: false }));
  const editor = useRef(/** @type {HTMLTextAreaElement | null} */ (null));
  const run = (text = sql) => {
    setState((held) => ({ ...held, busy: true }));
    site.set({ sql: text === FIRST ? '' : text }, true);
    sendJson('POST', '/api/sql', { sql: text }).then((table) => setState({ table, error: null, busy: false })).catch((error) => setState({ table: null, error, busy: false }));
  };
  useEffect(() => void (site.view.p.sql && run(site.view.p.sql)), []);
  const insert = (/** @type {string} */ text) => {
    const field = editor.current;
    if (!field) return;
    const [start, end] = [field.selectionStart, field.selectionEnd];
    setSql(sql.slice(0, start) + text + sql.slice(end));
    requestAnimationFrame(() => (field.focus(), field.setSelectionRange(start + text.length, start + text.length)));
  };
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === 'Enter' && (event.metaKey || event.ctrlKey)) {
      event.preventDefault();
      run();
    } else if (event.key === 'Escape') editor.current?.blur();
  };
  const { table, error, busy } = state;
  const isNumber = (/** @type {number} */ at) => table.rows.length > 0 && table.rows.every((/** @type {any[]} */ row) => row[at] === null || typeof row[at] === 'number');
  return html`<div class="pad"><${Title} title="Query" about="SELECT over your own rows: read only, at most 1,000 rows, 8 MiB and 10 s" />
    <div class="query"><${Schema} onInsert=${insert} />
      <div class="query-column"><section class="card"><textarea ref=${editor} class="sql" rows=${Math.max(6, Math.min(18, sql.split('\n').length + 1))} value=${sql} spellcheck=${false} aria-label="SQL" onInput=${(/** @type {any} */ event) => setSql(event.target.value)} onKeyDown=${onKeyDown}></textarea>
          <div class="query-bar"><button type="button" class="primary" disabled=${busy} onClick=${() => run()}>${busy ? 'Asking…' : 'Run'}</button><kbd>Ctrl</kbd><kbd>Enter</kbd><${Saved} sql=${sql} onOpen=${(/** @type {string} */ text) => (setSql(text), run(text))} /></div></section>
        ${error && html`<div class="notice bad" role="alert">${error.message}</div>`}
        ${table && html`<section class="card flush"><div class="card-head bar"><span class="muted">${count(table.rows.length)} rows${table.truncated ? ', there are more' : ''}, ${table.elapsed_ms} ms${table.bytes ? `, ${bytes(table.bytes)}` : ''}</span><button type="button" class="quiet bordered" onClick=${() => download(table)}>CSV</button></div>
          <div class="grid-scroll"><table class="grid-table" aria-label="Answer"><thead><tr>${table.columns.map((/** @type {string} */ name, /** @type {number} */ at) => html`<th scope="col" class=${isNumber(at) ? 'number' : ''}>${name}</th>`)}</tr></thead>
            <tbody>${table.rows.map((/** @type {any[]} */ row) => html`<tr>${row.map((value, at) => html`<td class=${isNumber(at) ? 'number' : ''}>${value === null ? html`<span class="none">null</span>` : typeof value === 'object' ? JSON.stringify(value) : String(value)}</td>`)}</tr>`)}</tbody></table></div></section>`}
      </div></div></div>`;
}
