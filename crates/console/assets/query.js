// @ts-check
// Filters as people write them: `model:gpt-4o -user:ada "late parcel"`. The server reads them; here a text is only taken
// apart into its conditions, so that one can be added, replaced or taken away. Pure; tested with `node --test`.

/** @typedef {{ text: string, field: string | null, value: string | null, negated: boolean }} Piece */

/**
 * The conditions that stand side by side. A bracket with all inside it is one; so are two that an OR joins.
 * @param {string} query
 * @returns {Piece[]}
 */
export function piecesOf(query) {
  /** @type {string[]} */
  const words = [];
  let [word, depth, quoted] = ['', 0, false];
  const end = () => {
    if (word) words.push(word);
    word = '';
  };
  for (let at = 0; at < query.length; at += 1) {
    const letter = query[at];
    if (quoted && letter === '\\') word += letter + (query[(at += 1)] ?? '');
    else if (letter === '"') [word, quoted] = [word + letter, !quoted];
    else if (!quoted && /\s/.test(letter) && depth === 0) end();
    else {
      if (!quoted && letter === '(') depth += 1;
      if (!quoted && letter === ')') depth = Math.max(0, depth - 1);
      word += letter;
    }
  }
  end();
  return joined(words).map(pieceOf);
}

/** Words that belong together: what an OR joins, and a minus that stands apart. @param {string[]} words */
function joined(words) {
  /** @type {string[]} */
  const pieces = [];
  let open = false;
  for (const word of words) {
    if (word === 'OR' && pieces.length) [pieces[pieces.length - 1], open] = [`${pieces[pieces.length - 1]} OR`, true];
    else if (open) [pieces[pieces.length - 1], open] = [`${pieces[pieces.length - 1]} ${word}`, word === '-' || word === 'NOT'];
    else [open, pieces[pieces.length]] = [word === '-' || word === 'NOT', word];
  }
  return pieces.filter((piece) => piece !== 'AND');
}

/** @param {string} text @returns {Piece} */
function pieceOf(text) {
  const [, minus, name, value] = /^(-?)((?:[\w.]|"(?:[^"\\]|\\.)*")+)[:=](.+)$/s.exec(text) ?? [];
  const whole = value !== undefined && !/\sOR\s/.test(text) && !text.startsWith('(');
  return { text, field: whole ? unquote(name) : null, value: whole ? unquote(value) : null, negated: whole && minus === '-' };
}

/** @param {string} text */
function unquote(text) {
  return text.replace(/"((?:[^"\\]|\\.)*)"/g, (_, inner) => inner.replace(/\\(.)/g, '$1'));
}

/** A value or a name as it may stand in a query: quoted where a letter of it would mean something. @param {string} text */
export function quote(text) {
  return /^[\w./@+][\w./@+:-]*$/.test(text) && !/^(OR|AND|NOT)$/.test(text) ? text : `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/** @param {string} field such as `model` or `prop.Team` @param {string} value @param {boolean} [negated] */
export function condition(field, value, negated = false) {
  const [, prefix = '', name = field] = /^(prop\.|score\.)(.*)$/s.exec(field) ?? [];
  return `${negated ? '-' : ''}${prefix}${/^[\w.]+$/.test(name) ? name : quote(name)}:${quote(value)}`;
}

/**
 * The query with a condition more. One for the same field gives way, unless one of the two excludes.
 * @param {string} query
 * @param {string} field
 * @param {string} value
 * @param {boolean} [negated]
 */
export function withCondition(query, field, value, negated = false) {
  const added = condition(field, value, negated);
  const kept = piecesOf(query).filter((piece) => piece.text !== added && (negated || piece.negated || piece.field !== field));
  return [...kept.map((piece) => piece.text), added].join(' ');
}

/** The query without its condition number `at`. @param {string} query @param {number} at */
export function withoutPiece(query, at) {
  return piecesOf(query).filter((_, index) => index !== at).map((piece) => piece.text).join(' ');
}

/** The value that a query asks a field to have, if it asks for one. @param {string} query @param {string} field */
export function valueOf(query, field) {
  return piecesOf(query).find((piece) => piece.field === field && !piece.negated)?.value ?? null;
}

/**
 * The word that is being written where the caret stands, and what it could become.
 * @param {string} text
 * @param {number} caret
 * @returns {{ start: number, end: number, field: string | null, typed: string }}
 */
export function wordAt(text, caret) {
  let [start, quoted] = [0, false];
  for (let at = 0; at < caret; at += 1) {
    if (text[at] === '"' && text[at - 1] !== '\\') quoted = !quoted;
    else if (!quoted && /[\s()]/.test(text[at])) start = at + 1;
  }
  if (text[start] === '-') start += 1;
  const rest = text.slice(caret);
  const end = quoted ? text.length : caret + (rest.search(/[\s()]/) + 1 || rest.length + 1) - 1;
  const word = text.slice(start, caret);
  const [, field, , typed] = /^((?:[\w.]|"[^"]*")+?)(!=|>=|<=|[:=])(.*)$/s.exec(word) ?? [];
  return { start, end, field: field ? unquote(field) : null, typed: (typed ?? word).replace(/^"|"$/g, '') };
}

/** Whether the query searches what was said, which the live feed cannot. @param {string} query */
export function searchesText(query) {
  return piecesOf(query).some((piece) => piece.field === 'text' || (piece.field === null && !/[:=<>~]/.test(piece.text)));
}
