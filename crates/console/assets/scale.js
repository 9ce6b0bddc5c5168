// @ts-check
// The arithmetic of charts. Pure; tested with `node --test`.

/**
 * Round values from 0 to at least `most`.
 * @param {number} most
 * @param {number} [wanted] how many, about
 */
export function ticks(most, wanted = 4) {
  if (!(most > 0)) return [0, 1];
  const rough = most / wanted;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * size).find((step) => step >= rough) ?? rough;
  const count = Math.ceil(most / step - 1e-9);
  return Array.from({ length: count + 1 }, (_, at) => at * step);
}

/**
 * The starts of all buckets of a period.
 * @param {number} from µs
 * @param {number} until µs
 * @param {number} step µs
 * @param {number} [offset] of local time, µs
 */
export function buckets(from, until, step, offset = 0) {
  const first = Math.floor((from + offset) / step) * step - offset;
  const count = Math.min(2_001, Math.max(1, Math.ceil((until - first) / step)));
  return Array.from({ length: count }, (_, at) => first + at * step);
}

/**
 * Values in the order of buckets; nothing where a bucket has no point.
 * @template T
 * @param {number[]} starts
 * @param {{ at: number }[]} points
 * @param {(point: any) => T} pick
 * @returns {(T | null)[]}
 */
export function aligned(starts, points, pick) {
  const held = new Map(points.map((point) => [point.at, point]));
  return starts.map((start) => (held.has(start) ? pick(held.get(start)) : null));
}

/**
 * Series on top of each other: for each its lower and upper edges.
 * @param {(number | null)[][]} series
 * @returns {{ low: number, high: number }[][]}
 */
export function stacked(series) {
  const sums = (series[0] ?? []).map(() => 0);
  return series.map((values) => values.map((value, at) => {
    const low = sums[at];
    sums[at] += value ?? 0;
    return { low, high: sums[at] };
  }));
}

/**
 * Lines as pieces of an SVG path, broken where there is nothing.
 * @param {({ x: number, y: number } | null)[]} places
 */
export function pathOf(places) {
  let [path, pen] = ['', 'M'];
  places.forEach((place, at) => {
    if (!place) return void (pen = 'M');
    path += `${pen}${place.x.toFixed(1)} ${place.y.toFixed(1)}`;
    // A point with no neighbours would not be seen.
    if (pen === 'M' && !places[at + 1]) path += 'h0.01';
    pen = 'L';
  });
  return path;
}

/**
 * One of eight colours for each name: its own on every page, unless a greater one here has it already.
 * @param {(string | null)[]} names
 * @param {(name: string | null) => string} hueOf
 */
export function huesOf(names, hueOf) {
  const taken = new Set();
  return names.map((name) => {
    const own = Number(hueOf(name).slice(4));
    const free = [0, 1, 2, 3, 4, 5, 6, 7].map((by) => (own + by) % 8).find((hue) => !taken.has(hue)) ?? own;
    taken.add(free);
    return `hue-${free}`;
  });
}

/**
 * How a value changed, in percent, for people; nothing where there is nothing to compare with.
 * @param {number | null | undefined} now
 * @param {number | null | undefined} before
 */
export function change(now, before) {
  if (now === null || now === undefined || before === null || before === undefined || before === 0) return null;
  const part = (now - before) / Math.abs(before);
  const percent = Math.abs(part) * 100;
  const text = part > 9.995 ? `×${(now / before).toFixed(now / before < 99.5 ? 1 : 0)}` : `${part < 0 ? '−' : '+'}${percent < 9.95 ? percent.toFixed(1) : percent.toFixed(0)}%`;
  return { part, text };
}
