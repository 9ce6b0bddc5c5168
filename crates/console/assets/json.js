// @ts-check
// JSON laid out for reading without being parsed into numbers: 1.0 stays 1.0 and long integers keep all their digits.

/** @typedef {'key' | 'string' | 'number' | 'word' | 'mark' | 'space'} Kind */

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

/**
 * The pieces of a JSON text, with line breaks and indentation between them; null where it is no JSON.
 * @param {string} text
 * @returns {[Kind, string][] | null}
 */
export function layOut(text) {
  try {
    JSON.parse(text);
  } catch {
    return null;
  }
  /** @type {[Kind, string][]} */
  const pieces = [];
  const tokens = text.match(TOKEN) ?? [];
  let depth = 0;
  const newLine = () => pieces.push(['space', `\n${'  '.repeat(depth)}`]);
  tokens.forEach((token, at) => {
    const next = tokens[at + 1];
    if (token === '{' || token === '[') {
      pieces.push(['mark', token]);
      depth += 1;
      if (next !== '}' && next !== ']') newLine();
    } else if (token === '}' || token === ']') {
      depth -= 1;
      const before = tokens[at - 1];
      if (before !== '{' && before !== '[') newLine();
      pieces.push(['mark', token]);
    } else if (token === ',') {
      pieces.push(['mark', token]);
      newLine();
    } else if (token === ':') {
      pieces.push(['mark', ': ']);
    } else {
      pieces.push([kindOf(token, next), token]);
    }
  });
  return pieces;
}

/**
 * @param {string} token
 * @param {string | undefined} next
 * @returns {Kind}
 */
function kindOf(token, next) {
  if (token.startsWith('"')) return next === ':' ? 'key' : 'string';
  return /^[-\d]/.test(token) ? 'number' : 'word';
}

/**
 * The events of a Server-Sent Events text, each as its name and its data; null where it is none.
 * @param {string} text
 * @returns {{ name: string, data: string }[] | null}
 */
export function eventsOf(text) {
  if (!/^\uFEFF?\s*(data|event|id|retry)?:/.test(text)) return null;
  const events = [];
  for (const block of text.split(/\r\n\r\n|\n\n|\r\r/)) {
    let name = '';
    const data = [];
    for (const line of block.split(/\r\n|\n|\r/)) {
      const [, field, value] = /^([^:]*): ?(.*)$/.exec(line) ?? [];
      if (field === 'event') name = value;
      if (field === 'data') data.push(value);
    }
    if (name || data.length) events.push({ name, data: data.join('\n') });
  }
  return events;
}
