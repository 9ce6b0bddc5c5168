// @ts-check
import { html } from '../html.js';

/** @param {{ site: any }} props */
export function Settings({ site }) {
  return html`<div class="pad">${site.view.page}</div>`;
}
