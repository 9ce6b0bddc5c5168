// @ts-check
import { html } from './html.js';
import { logOut } from './api.js';
import { useAsk } from './ask.js';

/** @type {Record<string, { label: string, about: string }>} */
const FEED = {
  live: { label: 'Live', about: 'New requests appear as they are stored. Click to pause (l).' },
  connecting: { label: 'Connecting', about: 'The feed is being connected.' },
  trouble: { label: 'Waiting', about: 'The store does not answer now; calls are kept and appear when it is back.' },
  off: { label: 'Paused', about: 'The page stands still. Click to go on (l).' },
  timed: { label: 'Live', about: 'The page is asked anew every 30 seconds. Click to pause (l).' },
};

/** Facts of the gateway, shown only where somebody should know: calls that were dropped, a queue that grows. @param {{ beat: number }} props */
function Health({ beat }) {
  const { data: facts } = useAsk('/api/health', Math.floor(beat / 15_000));
  const dropped = Number(facts?.dropped ?? 0);
  const queued = Number(facts?.queue_depth ?? 0);
  if (dropped > 0) return html`<a class="health tone-bad" href="/health" role="status" title="Calls whose record was lost">${dropped} dropped</a>`;
  if (queued > 100) return html`<a class="health tone-warn" href="/health" role="status" title="Records that wait to be stored">${queued} queued</a>`;
  return null;
}

/** @param {any} props */
export function Header({ feed, live, utc, search, period, beat, onLive, onUtc, onTheme, onHelp }) {
  const shown = FEED[live ? feed : 'off'];
  return html`<header class="top">
    ${search}
    <div class="controls">
      <${Health} beat=${beat} />
      ${period}
      <button type="button" class=${`quiet feed feed-${live ? feed : 'off'}`} aria-pressed=${live} title=${shown.about} onClick=${onLive}><i></i><span>${shown.label}</span></button>
      <button type="button" class="quiet utc" title="Times in UTC or of your zone (u)" aria-label=${`Time zone: ${utc ? 'UTC' : 'local'}`} onClick=${onUtc}>${utc ? 'UTC' : 'Local'}</button>
      <button type="button" class="quiet icon" title="Dark or light (d)" aria-label="Dark or light" onClick=${onTheme}>◐</button>
      <button type="button" class="quiet icon help-button" title="Keys (?)" aria-label="Help" onClick=${onHelp}>?</button>
      <button type="button" class="quiet logout" onClick=${logOut}>Log out</button>
    </div>
  </header>`;
}
