// @ts-check
// Who causes what.
import { html } from '../html.js';
import { Leaders, One } from '../leaders.js';
import { Go, Title } from '../parts.js';
import { withCondition } from '../query.js';
import { onPage } from '../view.js';

/** @param {{ site: any }} props */
export function Users({ site }) {
  const { view } = site;
  if (view.id === null) {
    return html`<${Leaders} site=${site} title="Users" about="By the user that requests name (Helicone-User-Id, user, metadata.user_id)" what="users" field="user" label="User" hrefOf=${(/** @type {string} */ id) => onPage(view, 'users', { id })} />`;
  }
  const q = withCondition(view.q, 'user', view.id);
  return html`<div class="pad"><${Title} title=${view.id} about=${html`<${Go} site=${site} to=${onPage(view, 'users')}>Users<//> › one user`}>
      <${Go} site=${site} to=${onPage({ ...view, q }, 'requests')} class="button bordered">Requests<//><${Go} site=${site} to=${onPage({ ...view, q }, 'sessions')} class="button bordered">Sessions<//><${Go} site=${site} to=${onPage({ ...view, q }, 'why')} class="button bordered">Why it moved<//><//>
    <${One} site=${site} q=${q} by=${[['prompt', 'Prompt'], ['model', 'Model'], ['session_name', 'Session kind'], ['error', 'Error']]} /></div>`;
}
