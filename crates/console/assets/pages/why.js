// @ts-check
import { html } from '../html.js';

/** @param {{ site: any }} props */
export function Why({ site }) {
  return html`<div class="pad">${site.view.page}</div>`;
}
