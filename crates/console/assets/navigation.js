// @ts-check
// The pages, where they stand in the rail, and the key behind `g` that leads there.
import { html } from './html.js';
import { addressOf, onPage } from './view.js';

/** @type {{ page: string, label: string, key: string, about: string, icon: string }[]} */
export const NAVIGATION = [
  { page: '', label: 'Overview', key: 'o', about: 'Spend, traffic, errors and speed at a glance', icon: 'M3 13h4v7H3zM10 8h4v12h-4zM17 4h4v16h-4z' },
  { page: 'requests', label: 'Requests', key: 'r', about: 'Every call, with its cost and what was said', icon: 'M3 6h18M3 12h18M3 18h12' },
  { page: 'sessions', label: 'Sessions', key: 's', about: 'Agents and chats, step by step', icon: 'M5 4v16M5 8h8M5 14h12M13 8v0M17 14v0' },
  { page: 'users', label: 'Users', key: 'u', about: 'Who causes what', icon: 'M12 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4 21c0-4 4-6 8-6s8 2 8 6' },
  { page: 'properties', label: 'Properties', key: 'y', about: 'Cost by team, environment, customer', icon: 'M4 4h9l8 8-9 9-8-8zM9 9v0' },
  { page: 'prompts', label: 'Prompts', key: 'p', about: 'Prompts by version: cost, speed and volume', icon: 'M4 5h16v11H9l-5 4z' },
  { page: 'providers', label: 'Models', key: 'm', about: 'Models and providers: speed, errors, prices', icon: 'M12 3l8 4.5v9L12 21l-8-4.5v-9zM12 12l8-4.5M12 12v9M12 12L4 7.5' },
  { page: 'cache', label: 'Cache', key: 'c', about: 'What was served and saved', icon: 'M4 7c0-5 16-5 16 0v10c0 5-16 5-16 0zM4 7c0 5 16 5 16 0M4 12c0 5 16 5 16 0' },
  { page: 'limits', label: 'Limits', key: 'l', about: 'Limits and budgets, and who met them', icon: 'M4 18a8 8 0 1 1 16 0M12 18l4-6' },
  { page: 'why', label: 'Why the bill moved', key: 'w', about: 'What changed between two periods, and where the month will end', icon: 'M3 17l6-6 4 4 8-9M21 6h-5M21 6v5' },
  { page: 'query', label: 'Query', key: 'q', about: 'Ask in SQL', icon: 'M4 6l5 6-5 6M12 18h8' },
  { page: 'health', label: 'Health', key: 'h', about: 'Whether everything is recorded and priced', icon: 'M3 12h4l3-8 4 16 3-8h4' },
  { page: 'settings', label: 'Settings', key: 't', about: 'Keys, providers, prices and what is kept', icon: 'M4 7h10M18 7h2M4 17h2M10 17h10M16 5v4M8 15v4' },
];

/** @param {{ view: any, onGo: (next: any) => void }} props */
export function Navigation({ view, onGo }) {
  const link = (/** @type {(typeof NAVIGATION)[number]} */ { page, label, key, icon }) => {
    const next = onPage(view, page);
    const here = view.page === page;
    return html`<a href=${addressOf(next)} class=${here ? 'here' : ''} aria-current=${here ? 'page' : null} title=${`${label} (g ${key})`} onClick=${(/** @type {MouseEvent} */ event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      onGo(next);
    }}><svg viewBox="0 0 24 24" width="16" height="16" aria-hidden="true"><path d=${icon} /></svg><span>${label}</span></a>`;
  };
  return html`<nav class="rail" aria-label="Pages">
    <a class="brand" href="/" onClick=${(/** @type {MouseEvent} */ event) => !event.metaKey && !event.ctrlKey && (event.preventDefault(), onGo(onPage({ ...view, q: '' }, '')))}><svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true"><circle cx="16" cy="16" r="12.5" class="disc" /><path d="M16 3.5a12.5 12.5 0 0 1 11.6 7.8" class="arc" /><path d="M6 18.8l3.8-1 2.4 3.4 3.4-12.6 3.5 10.6 2.5-3.9 4.4 1" class="trace" /></svg><span>Tachograph</span></a>
    <div class="links">${NAVIGATION.map(link)}</div></nav>`;
}
