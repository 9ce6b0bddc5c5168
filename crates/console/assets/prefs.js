// @ts-check
// What a person chose for this browser: theme and time zone.

/** @param {string} name @returns {string | null} */
function get(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

/** @param {string} name @param {string} value */
function set(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // Storage may be switched off; the choice then holds for this page.
  }
}

export function prefersUtc() {
  return get('time') === 'utc';
}

/** @param {boolean} utc */
export function keepUtc(utc) {
  set('time', utc ? 'utc' : 'local');
}

/** Dark to light and back, starting from what is seen now. */
export function switchTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  root.dataset.theme = dark ? 'light' : 'dark';
  set('theme', root.dataset.theme);
}
