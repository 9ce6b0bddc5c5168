// @ts-check
// Scores, tags, notes and properties that people put on a request or a session.
import { html, useState } from './html.js';
import { sendJson } from './api.js';
import { fullMoment } from './format.js';

/**
 * @param {{ at: string, marks: any, onChange: () => void }} props `at`: the API's address of the marks
 */
export function Marks({ at, marks, onChange }) {
  const [failed, setFailed] = useState(/** @type {string | null} */ (null));
  const { scores = {}, tags = [], notes = [], properties = [] } = marks ?? {};
  const act = (/** @type {Promise<any>} */ done) => done.then(() => (setFailed(null), onChange())).catch((error) => setFailed(error.message));
  const put = (/** @type {any} */ mark) => act(sendJson('POST', at, mark));
  const take = (/** @type {string} */ kind, /** @type {string} */ name) => act(sendJson('DELETE', `${at}/${kind}/${encodeURIComponent(name)}`));
  const added = Array.isArray(properties) ? properties : Object.entries(properties);
  const onForm = (/** @type {(data: FormData) => any} */ read) => (/** @type {any} */ event) => {
    event.preventDefault();
    const mark = read(new FormData(event.target));
    if (mark) put(mark).then(() => event.target.reset());
  };
  const text = (/** @type {FormData} */ data, /** @type {string} */ name) => String(data.get(name) ?? '').trim();
  const remove = (/** @type {string} */ kind, /** @type {string} */ name) => html`<button type="button" class="quiet icon" aria-label=${`Remove ${kind} ${name}`} onClick=${() => take(kind, name)}>✕</button>`;
  return html`<div class="marks">
    ${failed && html`<div class="notice bad" role="alert">${failed}</div>`}
    <h3>Feedback</h3>
    <p class="feedback"><button type="button" class="quiet bordered" aria-pressed=${scores.feedback === 1} onClick=${() => (scores.feedback === 1 ? take('score', 'feedback') : put({ kind: 'score', name: 'feedback', value: true }))}>👍 Good</button>
      <button type="button" class="quiet bordered" aria-pressed=${scores.feedback === 0} onClick=${() => (scores.feedback === 0 ? take('score', 'feedback') : put({ kind: 'score', name: 'feedback', value: false }))}>👎 Bad</button></p>
    <h3>Scores</h3>
    ${Object.entries(scores).map(([name, value]) => html`<p class="mark-line"><span>${name}</span><b>${value}</b>${remove('score', name)}</p>`)}
    <form onSubmit=${onForm((data) => ({ kind: 'score', name: text(data, 'name'), value: Number(text(data, 'value')) }))}><input name="name" required placeholder="name" aria-label="Score’s name" /><input name="value" required type="number" step="any" placeholder="number" aria-label="Score" /><button class="quiet bordered">Add</button></form>
    <h3>Tags</h3>
    <p class="tags">${tags.map((/** @type {string} */ tag) => html`<span class="chip">${tag} <button type="button" aria-label=${`Remove the tag ${tag}`} onClick=${() => take('tag', tag)}>✕</button></span>`)}</p>
    <form onSubmit=${onForm((data) => ({ kind: 'tag', name: text(data, 'name') }))}><input name="name" required placeholder="tag" aria-label="Tag" /><button class="quiet bordered">Add</button></form>
    <h3>Properties added later</h3>
    ${added.map((/** @type {any} */ [name, value]) => html`<p class="mark-line"><span>${name}</span><b>${typeof value === 'object' ? value?.text : value}</b>${remove('property', name)}</p>`)}
    <form onSubmit=${onForm((data) => ({ kind: 'property', name: text(data, 'name'), text: text(data, 'text') }))}><input name="name" required placeholder="name" aria-label="Property’s name" /><input name="text" required placeholder="value" aria-label="Property’s value" /><button class="quiet bordered">Add</button></form>
    <h3>Notes</h3>
    ${notes.map((/** @type {any} */ note) => html`<article class="written"><p class="prose">${note.text}</p><footer class="muted">${note.at ? fullMoment(note.at, false).slice(0, 16) : ''}${remove('note', note.id ?? note.name)}</footer></article>`)}
    <form class="new-note" onSubmit=${onForm((data) => text(data, 'text') && { kind: 'note', text: text(data, 'text') })}><textarea name="text" rows="3" required placeholder="What should the next person know?" aria-label="Note"></textarea><button class="primary">Add note</button></form>
  </div>`;
}
