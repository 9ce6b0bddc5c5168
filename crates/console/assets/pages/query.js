// @ts-check
import { html } from '../html.js';

/** @param {{ site: any }} props */
export function Query({ site }) {
  return html`<div class="pad">${site.view.page}</div>`;
}
