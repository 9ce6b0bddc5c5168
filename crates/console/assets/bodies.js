// @ts-check
import { html, useMemo, useState } from './html.js';
import { Copy } from './copy.js';
import { bytes } from './format.js';
import { eventsOf, layOut } from './json.js';

/** Texts longer than this are shown without colours: the page would stutter. */
const MOST_COLOURED = 200_000;

/**
 * JSON laid out and coloured; other text as it is.
 * @param {{ text: string }} props
 */
export function Json({ text }) {
  const pieces = useMemo(() => layOut(text), [text]);
  if (!pieces) return html`<pre class="code">${text}</pre>`;
  if (text.length > MOST_COLOURED) return html`<pre class="code">${pieces.map(([, piece]) => piece).join('')}</pre>`;
  return html`<pre class="code">${pieces.map(([kind, piece]) => (kind === 'space' ? piece : html`<span class=${`json-${kind}`}>${piece}</span>`))}</pre>`;
}

/** @param {{ events: { name: string, data: string }[] }} props */
function Events({ events }) {
  return html`<ol class="events">${events.map(({ name, data }) => html`<li>${name && html`<span class="event-name">${name}</span>`}<${Json} text=${data} /></li>`)}</ol>`;
}

/** @type {Record<string, string>} */
const STATES = {
  empty: 'There was none.',
  omitted: 'Not kept: the caller or the configuration asked for that.',
};

/** Hands the browser a file made from what was kept of a body. */
function download(/** @type {any} */ body, /** @type {string} */ name) {
  const data = body.base64 ? Uint8Array.from(atob(body.base64), (letter) => letter.charCodeAt(0)) : body.text;
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([data]));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

/**
 * One body as it passed.
 * @param {{ body: any, name: string, id: string }} props
 */
export function Body({ body, name, id }) {
  const [pretty, setPretty] = useState(true);
  const text = body.text ?? '';
  const events = useMemo(() => eventsOf(text), [text]);
  const readable = events !== null || (text !== '' && layOut(text) !== null);
  if (body.text === undefined && body.base64 === undefined) return html`<p class="muted">${STATES[body.state] ?? 'Nothing was kept.'} ${body.len > 0 ? `${bytes(body.len)} passed.` : ''}</p>`;
  return html`<section class="body">
    <div class="toolbar">
      <span class="muted">${bytes(body.len)}${body.state === 'truncated' ? ', only its beginning kept' : ''}${body.base64 ? ', no text' : ''}${events ? `, ${events.length} events` : ''}</span>
      ${readable && html`<label class="switch"><input type="checkbox" checked=${pretty} onChange=${() => setPretty(!pretty)} /> Formatted</label>`}
      ${body.text !== undefined && html`<${Copy} text=${text} name=${`the ${name}’s body`} />`}
      <button type="button" class="quiet" onClick=${() => download(body, `${id}.${name}${readable && !events ? '.json' : '.txt'}`)}>Download</button>
    </div>
    ${body.base64 ? html`<pre class="code wrap">${body.base64}</pre>` : pretty && events ? html`<${Events} events=${events} />` : pretty && readable ? html`<${Json} text=${text} />` : html`<pre class="code wrap">${text}</pre>`}
  </section>`;
}
