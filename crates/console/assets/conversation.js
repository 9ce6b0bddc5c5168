// @ts-check
// A call as a conversation. The server has read it from whatever API it was made through; here it is only shown.
import { html } from './html.js';
import { Json } from './bodies.js';
import { Copy } from './copy.js';

/** @type {Record<string, string>} */
const ROLES = { system: 'System', developer: 'Developer', user: 'User', assistant: 'Assistant', tool: 'Tool' };

/** Text, with fenced code set apart. Nothing else is interpreted: what the model wrote is what is seen. */
function Prose(/** @type {{ text: string }} */ { text }) {
  const parts = text.split(/^```([^\n`]*)\n([\s\S]*?)^```[ \t]*$/m);
  const shown = [];
  for (let at = 0; at < parts.length; at += 3) {
    if (parts[at].trim()) shown.push(html`<p class="prose">${parts[at].replace(/^\n+|\n+$/g, '')}</p>`);
    if (at + 2 < parts.length) shown.push(html`<pre class="code" data-language=${parts[at + 1]}>${parts[at + 2]}</pre>`);
  }
  return html`${shown}`;
}

function Media(/** @type {any} */ { kind, source, name }) {
  const { base64, url, file, text } = source;
  const data = base64 ? `data:${base64.mime};base64,${base64.data}` : url?.startsWith('data:') ? url : null;
  // Only what is in the conversation itself is shown: an address is told, not visited.
  if (kind === 'image' && data) return html`<img class="thumbnail" src=${data} alt=${name ?? 'Picture in the conversation'} loading="lazy" />`;
  if (text) return html`<${Folded} label=${`Document ${name ?? text.mime}`}><${Prose} text=${text.data} /><//>`;
  return html`<p class="chip-line"><span class="tag">${kind}</span> <span class="break">${name ?? url?.slice(0, 200) ?? file ?? base64?.mime}</span></p>`;
}

function Folded(/** @type {any} */ { label, open = false, children, tone = '' }) {
  return html`<details class=${`folded ${tone}`} open=${open}><summary>${label}</summary><div>${children}</div></details>`;
}

/** @type {Record<string, (block: any) => any>} */
const BLOCKS = {
  text: ({ text }) => html`<${Prose} text=${text} />`,
  refusal: ({ text }) => html`<p class="prose refusal"><span class="tag">refusal</span> ${text}</p>`,
  thinking: ({ text, redacted }) => html`<${Folded} label=${redacted ? 'Thinking, readable by the provider only' : 'Thinking'} tone="thinking"><${Prose} text=${text || '–'} /><//>`,
  tool_call: ({ id, name, arguments: given }) => html`<div class="tool"><header><span class="tag">call</span> <b>${name}</b> <code>${id}</code>
    <${Copy} text=${given} name="the arguments" /></header><${Json} text=${given || '{}'} /></div>`,
  tool_result: ({ id, is_error: failed, content }) => html`<div class=${`tool ${failed ? 'failed' : ''}`}><header><span class="tag">${failed ? 'error' : 'result'}</span>
    <code>${id}</code></header>${content.map((/** @type {any} */ block) => (block.type === 'text' ? html`<${Json} text=${block.text} />` : html`<${Block} block=${block} />`))}</div>`,
  media: (block) => html`<${Media} ...${block} />`,
  opaque: ({ json }) => html`<${Folded} label=${`${json?.type ?? 'unknown'} block`}><${Json} text=${JSON.stringify(json)} /><//>`,
};

function Block(/** @type {any} */ { block }) {
  return (BLOCKS[block.type] ?? BLOCKS.opaque)({ ...block, json: block.json ?? block });
}

function Message(/** @type {any} */ { role, note, blocks }) {
  return html`<article class=${`message role-${role}`}><header>${ROLES[role] ?? role}${note && html` <span class="muted">${note}</span>`}</header>
    ${blocks.length ? blocks.map((/** @type {any} */ block) => html`<${Block} block=${block} />`) : html`<p class="muted">Nothing.</p>`}</article>`;
}

/** Long system prompts are folded: what was asked and answered is what people come for. */
const LONG_SYSTEM = 600;

function System(/** @type {any} */ { blocks }) {
  const length = blocks.reduce((/** @type {number} */ sum, /** @type {any} */ block) => sum + (block.text?.length ?? 0), 0);
  if (length <= LONG_SYSTEM) return html`<${Message} role="system" blocks=${blocks} />`;
  return html`<${Folded} label=${`System, ${length.toLocaleString('en-US')} characters`} tone="message role-system"><${Message} role="system" blocks=${blocks} /><//>`;
}

/** @param {{ call: any }} props */
export function Conversation({ call }) {
  const { conversation } = call;
  if (!conversation) {
    return html`<p class="muted">This call cannot be shown as a conversation: its API is not one of the chat APIs, or its bodies were not kept. What passed is under Request and Response.</p>`;
  }
  const { system = [], messages = [], tools = [], answers = [], error, truncated } = conversation;
  return html`<div class="conversation">
    ${tools.length > 0 && html`<${Folded} label=${tools.length === 1 ? 'One tool offered' : `${tools.length} tools offered`}>${tools.map((/** @type {any} */ tool) => html`<${Json} text=${JSON.stringify(tool)} />`)}<//>`}
    ${system.length > 0 && html`<${System} blocks=${system} />`}
    ${messages.map((/** @type {any} */ { role, content }) => (role === 'system' || role === 'developer' ? html`<${System} blocks=${content} />` : html`<${Message} role=${role} blocks=${content} />`))}
    ${answers.length === 0 && !error && html`<p class="muted no-answer">No answer was kept.</p>`}
    ${answers.map((/** @type {any} */ answer, /** @type {number} */ at) => html`<${Message} role="assistant" blocks=${answer.content}
      note=${`answer${answers.length > 1 ? ` ${at + 1} of ${answers.length}` : ''}${answer.finish_reason ? ` · ${answer.finish_reason}` : ''}`} />`)}
    ${error && html`<article class="message failed"><header>Error</header><p class="prose">${error}</p></article>`}
    ${truncated && html`<p class="muted no-answer">A body was cut off; this is its beginning.</p>`}
  </div>`;
}
