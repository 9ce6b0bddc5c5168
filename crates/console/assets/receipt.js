// @ts-check
import { html } from './html.js';
import { count, exactMoney, money } from './format.js';
import { COST_STATES, mayHaveCost } from './outcome.js';

/** @param {string} meter `cache_read_tokens` as words */
const words = (meter) => meter.replaceAll('_', ' ').replace(/ tokens$/, '');

/** @param {{ call: any }} props */
function Unknown({ call }) {
  const { status, why } = call.cost;
  const title = mayHaveCost(call) ? 'The cost is unknown' : 'Nothing is known to have been used';
  return html`<div class="notice"><b>${title}.</b> ${why ?? COST_STATES[status]} <code>${status}</code></div>`;
}

/** @param {{ receipt: any }} props */
function Lines({ receipt }) {
  return html`<table class="receipt"><thead><tr><th scope="col">Meter</th><th scope="col" class="number">Quantity</th><th scope="col" class="times"></th>
      <th scope="col" class="number">List price</th><th scope="col" class="number">Amount</th></tr></thead>
    <tbody>${receipt.lines.map((/** @type {any} */ line) => html`<tr><th scope="row">${words(line.meter)}</th><td class="number">${count(line.quantity)}</td><td class="times">×</td>
      <td class="number">${exactMoney(line.price)}<span class="per"> per ${line.per === 1 ? 'one' : line.per === 1e6 ? '1M' : count(line.per)}</span></td>
      <td class="number">${line.exact === false ? '≈ ' : ''}${exactMoney(line.amount)}</td></tr>`)}</tbody>
    <tfoot><tr><th scope="row" colspan="4">Total${receipt.estimated ? ', estimated' : ''}</th><td class="number">${exactMoney(receipt.total)}</td></tr></tfoot></table>`;
}

/**
 * The working of a call's cost, and what was used.
 * @param {{ call: any }} props
 */
export function Receipt({ call }) {
  const { receipt, usage, provider_cost: charged } = call;
  return html`<div class="cost-tab">
    ${receipt ? html`<${Lines} receipt=${receipt} />` : html`<${Unknown} call=${call} />`}
    ${receipt?.warnings?.map((/** @type {string} */ warning) => html`<div class="notice">${warning}</div>`)}
    ${receipt && html`<dl class="facts"><div><dt>Price list</dt><dd>${receipt.provider} / ${receipt.model}</dd></div><div><dt>Matched by</dt><dd>${receipt.matched_by}</dd></div>
      <div><dt>Price version</dt><dd><code>${receipt.price_version}</code></dd></div>
      ${charged !== null && html`<div><dt>Provider says</dt><dd title=${exactMoney(charged)}>${money(charged)}</dd></div>`}</dl>`}
    <h3>Usage${usage && html` <span class="muted">${usage.source}</span>`}</h3>
    ${usage ? html`<dl class="facts leaves">${usage.meters.map((/** @type {any} */ { meter, quantity }) => html`<div><dt>${meter.replaceAll('_', ' ')}</dt><dd class="number">${count(quantity)}</dd></div>`)}
      <div class="sum"><dt>All in</dt><dd class="number">${count(usage.input_tokens)}</dd></div><div class="sum"><dt>All out</dt><dd class="number">${count(usage.output_tokens)}</dd></div></dl>` : html`<p class="muted">The usage of this call is not known.</p>`}
  </div>`;
}
