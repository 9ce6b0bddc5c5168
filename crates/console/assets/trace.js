// @ts-check
// A session's steps as rows and frames. Pure; tested with `node --test`.

/**
 * @typedef {{ step: any, depth: number, start: number, end: number, cost: number, tokens: number, before: { cost: number, tokens: number }, marks: { kind: string, about: string }[] }} StepRow
 */

/** @param {any} step */
const costOf = (step) => Number(step.cost.total ?? 0);
/** @param {any} step */
const tokensOf = (step) => (step.usage ? step.usage.input_tokens + step.usage.output_tokens : 0);

/**
 * What looks like waste: paid for and thrown away, asked again and again, tried twice.
 * @param {any} step
 * @param {any[]} repeats as `/api/sessions/{id}` tells them
 */
export function marksOf(step, repeats) {
  const marks = [];
  const again = repeats.find(({ path, name, model }) => (path ?? null) === (step.session?.path ?? null) && (name ?? null) === (step.name ?? null) && (model ?? null) === (step.model ?? null));
  if (again) marks.push({ kind: 'loop', about: `One of ${again.times} steps of the same path, model and length: it may go round in circles` });
  if (step.outcome === 'client_gone') marks.push({ kind: 'left', about: 'The client left; what was generated was not used' });
  else if (step.outcome !== 'complete') marks.push({ kind: 'failed', about: costOf(step) > 0 ? 'It went wrong, and was paid for' : 'It went wrong' });
  if (step.attempts.length > 1) marks.push({ kind: 'retried', about: `${step.attempts.length} attempts` });
  return marks;
}

/**
 * Steps beneath their parents, each level in the order of time. A step whose parents go round in a circle stands on top.
 * @param {any[]} steps in the order of time
 * @param {any[]} repeats
 * @returns {StepRow[]}
 */
export function rowsOf(steps, repeats) {
  const known = new Set(steps.map(({ id }) => id));
  /** @type {Map<string | null, any[]>} */
  const children = new Map();
  for (const step of steps) {
    const parent = known.has(step.parent) ? step.parent : null;
    const beside = children.get(parent);
    if (beside) beside.push(step);
    else children.set(parent, [step]);
  }
  /** @type {StepRow[]} */
  const rows = [];
  const seen = new Set();
  const before = { cost: 0, tokens: 0 };
  const add = (/** @type {any} */ first) => {
    // No recursion: a chain of steps may be as long as the session.
    const waiting = [{ step: first, depth: 0 }];
    while (waiting.length) {
      const { step, depth } = /** @type {{ step: any, depth: number }} */ (waiting.pop());
      if (seen.has(step.id)) continue;
      seen.add(step.id);
      const start = step.timing.received_at;
      const [cost, tokens] = [costOf(step), tokensOf(step)];
      rows.push({ step, depth, start, end: start + step.timing.end_us, cost, tokens, before: { ...before }, marks: marksOf(step, repeats) });
      before.cost += cost;
      before.tokens += tokens;
      const below = children.get(step.id) ?? [];
      for (let at = below.length - 1; at >= 0; at -= 1) waiting.push({ step: below[at], depth: depth + 1 });
    }
  };
  for (const step of children.get(null) ?? []) add(step);
  for (const step of steps) if (!seen.has(step.id)) add(step);
  return rows;
}

/** @type {Record<string, (branch: any) => number>} */
export const MEASURES = {
  cost: (branch) => Number(branch.cost),
  tokens: (branch) => branch.tokens,
  time: (branch) => branch.busy_us,
};

/**
 * The tree of paths as frames of a flame graph: each as wide as its part of the whole, children inside their parent.
 * @param {any} tree
 * @param {string} measure one of MEASURES
 * @returns {{ name: string, path: string, depth: number, left: number, width: number, value: number, branch: any }[]}
 */
export function framesOf(tree, measure) {
  const pick = MEASURES[measure];
  const whole = pick(tree);
  /** @type {any[]} */
  const frames = [];
  const walk = (/** @type {any} */ branch, /** @type {string} */ path, /** @type {number} */ depth, /** @type {number} */ left) => {
    const value = pick(branch);
    const width = whole > 0 ? value / whole : 0;
    frames.push({ name: branch.name || 'session', path: path || '/', depth, left, width, value, branch });
    let place = left;
    const below = [...branch.children].sort((one, other) => pick(other) - pick(one));
    for (const child of below) {
      if (pick(child) > 0) walk(child, `${path}/${child.name}`, depth + 1, place);
      place += whole > 0 ? pick(child) / whole : 0;
    }
  };
  walk(tree, '', 0, 0);
  return frames;
}

/**
 * The tree of paths as rows; what is folded is left out.
 * @param {any} tree
 * @param {Set<string>} folded paths
 */
export function branchesOf(tree, folded) {
  /** @type {{ path: string, depth: number, branch: any, leaf: boolean }[]} */
  const rows = [];
  const walk = (/** @type {any} */ branch, /** @type {string} */ path, /** @type {number} */ depth) => {
    rows.push({ path: path || '/', depth, branch, leaf: branch.children.length === 0 });
    if (!folded.has(path || '/')) for (const child of branch.children) walk(child, `${path}/${child.name}`, depth + 1);
  };
  walk(tree, '', 0);
  return rows;
}
