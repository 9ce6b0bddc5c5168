// @ts-check
import { html } from './html.js';
import { Copy } from './copy.js';

/** @param {string} origin @returns {{ name: string, code: string, marked: RegExp }[]} */
function recipes(origin) {
  return [
    { name: 'Python, OpenAI', code: `client = OpenAI(\n    base_url="${origin}/v1",\n    api_key="<your key of this gateway>",\n)`, marked: /base_url|api_key/ },
    { name: 'Python, Anthropic', code: `client = Anthropic(\n    base_url="${origin}/anthropic",\n    api_key="<your key of this gateway>",\n)`, marked: /base_url|api_key/ },
    {
      name: 'Or right now, without any account',
      code: `curl ${origin}/v1/chat/completions \\\n  -H "Authorization: Bearer <your key of this gateway>" \\\n  -H "Content-Type: application/json" \\\n  -d '{"model": "demo/echo", "messages": [{"role": "user", "content": "Hello!"}]}'`,
      marked: /demo\/echo/,
    },
  ];
}

/** What a newcomer sees: the two lines to change. */
export function FirstSteps() {
  return html`<section class="empty" aria-labelledby="first-steps">
    <h2 id="first-steps">No requests yet</h2>
    <p>Change two lines in your program, and each of its calls appears here while you watch.</p>
    <div class="recipes">${recipes(location.origin).map(({ name, code, marked }) => html`<figure>
      <figcaption>${name}<${Copy} text=${code} name=${`the code for ${name}`} /></figcaption>
      <pre><code>${code.split('\n').map((line) => html`<span class=${marked.test(line) ? 'marked' : ''}>${`${line}\n`}</span>`)}</code></pre>
    </figure>`)}</div>
    <p class="muted">Keys of providers stay with the gateway; your programs only need a key of the gateway. The first one was printed when it started.</p>
  </section>`;
}

/** @param {{ onClear: () => void }} props */
export function NothingMatches({ onClear }) {
  return html`<section class="empty narrow"><h2>Nothing matches</h2><p>No request of this period goes with all of these filters.</p>
    <button type="button" class="primary" onClick=${onClear}>Show all requests of all time</button></section>`;
}

/** @param {{ error: Error, onRetry: () => void }} props */
export function Failed({ error, onRetry }) {
  return html`<section class="empty narrow" role="alert"><h2>That did not work</h2><p>${error.message}</p>
    <button type="button" class="primary" onClick=${onRetry}>Try again</button></section>`;
}
