// @ts-check
// A heat map: a row for each name, a cell for each stretch of time.
import { html, useState } from './html.js';
import { fullMoment } from './format.js';

/** Between two of ten stretches, so that small differences are seen too. @param {number} value @param {number} most */
export function heatOf(value, most) {
  return most > 0 && value > 0 ? 0.12 + 0.88 * Math.sqrt(value / most) : 0;
}

/** @param {{ title: string, starts: number[], step: number, rows: { name: string, values: (number | null)[] }[], format: (value: number) => string, utc: boolean, onCell: (name: string, at: number) => void, onName: (name: string) => void }} props */
export function HeatMap({ title, starts, step, rows, format, utc, onCell, onName }) {
  const [asTable, setAsTable] = useState(false);
  const most = Math.max(0, ...rows.flatMap(({ values }) => values.map((value) => value ?? 0)));
  const when = (/** @type {number} */ at) => fullMoment(starts[at], utc).slice(5, 16);
  return html`<figure class="chart"><figcaption><h2>${title}</h2><button type="button" class="quiet as-table" aria-pressed=${asTable} onClick=${() => setAsTable(!asTable)}>${asTable ? 'Chart' : 'Table'}</button></figcaption>
    ${asTable ? html`<div class="chart-table" tabindex="0"><table class="grid-table"><thead><tr><th scope="col">From</th>${rows.map(({ name }) => html`<th scope="col" class="number">${name}</th>`)}</tr></thead>
      <tbody>${starts.map((_, at) => rows.some(({ values }) => values[at] !== null) && html`<tr><th scope="row">${when(at)}</th>${rows.map(({ values }) => html`<td class="number">${values[at] === null ? '–' : format(values[at])}</td>`)}</tr>`)}</tbody></table></div>`
    : html`<div class="heat" role="img" aria-label=${`${title}; the same figures are under Table`}>${rows.map(({ name, values }) => {
      const known = values.filter((value) => value !== null);
      return html`<div class="heat-row"><button type="button" class="pick name" title=${name} onClick=${() => onName(name)}>${name}</button>
        <div class="heat-cells">${values.map((value, at) => html`<i class=${value === null ? 'blank' : ''} style=${{ '--part': String(value === null ? 0 : heatOf(value, most).toFixed(3)) }} title=${`${name}, ${when(at)}: ${value === null ? 'no requests' : format(value)}`} onClick=${() => value !== null && onCell(name, starts[at])}></i>`)}</div>
        <span class="number">${known.length ? format(Math.max(.../** @type {number[]} */ (known))) : '–'}</span></div>`;
    })}
    <p class="heat-scale">0 <span class="heat-cells">${[0.12, 0.3, 0.5, 0.7, 0.85, 1].map((part) => html`<i style=${{ '--part': String(part) }}></i>`)}</span> ${format(most)} · a cell is ${step >= 86_400e6 ? `${step / 86_400e6} d` : step >= 3_600e6 ? `${step / 3_600e6} h` : `${step / 60e6} min`}, on the right the most</p></div>`}
  </figure>`;
}
