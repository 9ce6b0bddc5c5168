// @ts-check
// The console's own API, the same that programs use.

/** An answer that is no success, in the API's words. */
export class ApiError extends Error {
  /** @param {number} status @param {string} code @param {string} message */
  constructor(status, code, message) {
    // The API writes for programs' logs; a person gets a sentence.
    super(message.charAt(0).toUpperCase() + message.slice(1));
    this.status = status;
    this.code = code;
  }
}

/**
 * @param {string} path
 * @param {AbortSignal} [signal]
 */
export function getJson(path, signal) {
  return ask(path, { signal });
}

/**
 * Sends something; without a body where there is none to send.
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 */
export function sendJson(method, path, body) {
  const written = body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
  return ask(path, { method, ...written });
}

/** @param {string} path @param {any} options */
async function ask(path, options) {
  const answer = await fetch(path, { ...options, headers: { accept: 'application/json', ...options.headers } }).catch((error) => {
    if (error.name === 'AbortError') throw error;
    throw new ApiError(0, 'unreachable', 'The gateway does not answer.');
  });
  if (answer.status === 401) {
    logIn();
    // The page is about to be left; nothing is to be shown in between.
    return new Promise(() => {});
  }
  if (answer.status === 204) return null;
  const body = await answer.json().catch((error) => {
    // An answer that broke off is no empty answer.
    if (error.name === 'AbortError') throw error;
    if (answer.ok) throw new ApiError(0, 'cut_short', 'The gateway’s answer broke off.');
    return {};
  });
  if (!answer.ok) {
    const { code = 'failed', message = `The gateway answered ${answer.status}.` } = body.error ?? {};
    throw new ApiError(answer.status, code, message);
  }
  return body;
}

/** Leaves for the login page, which leads back here. */
export function logIn() {
  location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
}

/** Ends the session. */
export async function logOut() {
  await fetch('/logout', { method: 'POST', redirect: 'manual' }).catch(() => {});
  location.assign('/login');
}
