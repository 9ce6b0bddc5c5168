// @ts-check
// What requests were labelled with: cost by team, environment, customer.
import { html } from '../html.js';
import { useAsk } from '../ask.js';
import { Leaders } from '../leaders.js';
import { Choice, Title, Trouble } from '../parts.js';

/** @param {{ site: any }} props */
export function Properties({ site }) {
  const { view } = site;
  const { data, error } = useAsk('/api/properties?limit=60');
  const names = /** @type {string[]} */ ((data?.properties ?? []).map((/** @type {any} */ { name }) => name));
  const name = view.p.name ?? names[0];
  if (error) return html`<div class="pad"><${Title} title="Properties" /><${Trouble} error=${error} what="properties" /></div>`;
  if (!data) return html`<div class="pad"><div class="waiting tall"></div></div>`;
  if (!name) return html`<div class="pad"><${Title} title="Properties" /><section class="card"><p>No request has a property yet. Send a header such as <code>Helicone-Property-Team: search</code> with your calls, and their cost is split by it here.</p></section></div>`;
  const choose = html`<${Choice} site=${site} name="name" value=${name} choices=${names.slice(0, 12).map((each) => [each, each])} label="Property" />`;
  return html`<${Leaders} key=${name} site=${site} title="Properties" about=${`By what requests give as ${name} (Helicone-Property-${name})`} what="properties" field=${`prop.${name}`} label=${name} hrefOf=${(/** @type {string} */ value) => site.requestsOf(`prop.${name}`, value)}>${choose}<//>`;
}
