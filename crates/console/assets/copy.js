// @ts-check
import { html, useState } from './html.js';

/** @param {string} text */
async function toClipboard(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Plain HTTP on another host than localhost has no clipboard API; the old way still works there.
  const field = document.createElement('textarea');
  field.value = text;
  field.className = 'visually-hidden';
  document.body.append(field);
  field.select();
  document.execCommand('copy');
  field.remove();
}

/**
 * A button that copies a text and says so.
 * @param {{ text: string, label?: string, name: string }} props `name`: what is copied, for those who hear the page
 */
export function Copy({ text, label = 'Copy', name }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    await toClipboard(text);
    setDone(true);
    setTimeout(() => setDone(false), 1200);
  };
  return html`<button type="button" class="quiet copy" aria-label=${`Copy ${name}`} onClick=${copy}>${done ? 'Copied' : label}</button>`;
}
