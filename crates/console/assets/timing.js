// @ts-check
import { html } from './html.js';
import { duration, fullMoment } from './format.js';

const STAGES = [
  ['upstream_sent_us', 'Gateway', 'until the request was handed to the provider’s connection'],
  ['first_byte_us', 'First byte', 'from then until the first byte was handed to the client'],
  ['first_token_us', 'First token', 'from then until the first content was handed to the client'],
  ['end_us', 'Answer', 'from then until the call was over'],
];

/**
 * The spans of a call, one after the other; a clock that never came has no span.
 * @param {any} timing
 */
export function spansOf(timing) {
  let start = 0;
  const spans = [];
  for (const [clock, label, about] of STAGES) {
    const end = timing[clock];
    if (end === null || end === undefined) continue;
    spans.push({ clock, label, about, start, end: Math.max(start, end), ...lonelyEnd(clock, spans.length) });
    start = Math.max(start, end);
  }
  return spans;
}

/**
 * The last span of a call that had no answer is no answer: it was the gateway's own time, or spent waiting.
 * @param {string} clock
 * @param {number} before spans before it
 */
function lonelyEnd(clock, before) {
  if (clock !== 'end_us' || before > 1) return {};
  return before === 0 ? { clock: 'upstream_sent_us', label: 'Gateway', about: 'the whole call' } : { clock: 'first_byte_us', label: 'Waiting', about: 'until the call was over' };
}

/**
 * Where a call's time went: a bar to see it, figures to know it.
 * @param {{ timing: any, utc: boolean }} props
 */
export function TimingStrip({ timing, utc }) {
  const spans = spansOf(timing);
  return html`<section class="timing" aria-label="Timing">
    <div class="strip" aria-hidden="true">${spans.map(({ clock, label, start, end }) => html`<div class=${`span ${clock}`} title=${`${label} ${duration(end - start)}`}
      style=${{ flexGrow: String(Math.max(1, end - start)) }}></div>`)}</div>
    <dl>${spans.map(({ clock, label, about, start, end }) => html`<div title=${`${label}: ${about}; ${(end - start).toLocaleString('en-US')} µs`}>
      <dt><i class=${`swatch ${clock}`}></i>${label}</dt><dd>${duration(end - start)}</dd><dd class="offset">at ${duration(end)}</dd></div>`)}
      <div class="received"><dt>Received</dt><dd>${fullMoment(timing.received_at, utc)}</dd></div></dl>
  </section>`;
}
