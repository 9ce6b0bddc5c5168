// @ts-check
import { html } from '../html.js';

/** @param {{ site: any }} props */
export function Compare({ site }) {
  return html`<div class="pad">${site.view.page}</div>`;
}
