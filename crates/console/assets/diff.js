// @ts-check
// What two texts have in common, line by line. Pure; tested with `node --test`.

/** Beyond this many cells the middle is told as all gone and all new. */
const MOST_CELLS = 4_000_000;

/**
 * @param {string[]} before
 * @param {string[]} after
 * @returns {{ kind: 'same' | 'gone' | 'new', line: string }[]}
 */
export function diffOf(before, after) {
  let [start, left, right] = [0, before.length, after.length];
  while (start < left && start < right && before[start] === after[start]) start += 1;
  while (left > start && right > start && before[left - 1] === after[right - 1]) [left, right] = [left - 1, right - 1];
  const same = (/** @type {string} */ line) => ({ kind: /** @type {const} */ ('same'), line });
  return [...before.slice(0, start).map(same), ...middleOf(before.slice(start, left), after.slice(start, right)), ...before.slice(left).map(same)];
}

/** @param {string[]} before @param {string[]} after @returns {{ kind: 'same' | 'gone' | 'new', line: string }[]} */
function middleOf(before, after) {
  const gone = (/** @type {string} */ line) => ({ kind: /** @type {const} */ ('gone'), line });
  const fresh = (/** @type {string} */ line) => ({ kind: /** @type {const} */ ('new'), line });
  if (before.length * after.length > MOST_CELLS) return [...before.map(gone), ...after.map(fresh)];
  const width = after.length + 1;
  const longest = new Uint32Array((before.length + 1) * width);
  for (let i = before.length - 1; i >= 0; i -= 1) {
    for (let j = after.length - 1; j >= 0; j -= 1) {
      longest[i * width + j] = before[i] === after[j] ? longest[(i + 1) * width + j + 1] + 1 : Math.max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
    }
  }
  /** @type {{ kind: 'same' | 'gone' | 'new', line: string }[]} */
  const told = [];
  let [i, j] = [0, 0];
  while (i < before.length && j < after.length) {
    if (before[i] === after[j]) told.push({ kind: 'same', line: before[(j += 1, (i += 1) - 1)] });
    else if (longest[(i + 1) * width + j] >= longest[i * width + j + 1]) told.push(gone(before[(i += 1) - 1]));
    else told.push(fresh(after[(j += 1) - 1]));
  }
  return [...told, ...before.slice(i).map(gone), ...after.slice(j).map(fresh)];
}
