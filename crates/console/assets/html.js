// @ts-check
// One import for what every component needs: `html` writes elements as tagged templates, without a build step. The
// vendored files carry no types; what we use of them is typed here.
import * as preact from './vendor/preact/preact.js';
import * as hooks from './vendor/preact/hooks.js';
import htm from './vendor/htm/htm.js';

/** @typedef {readonly unknown[]} Inputs */

export const html = /** @type {(strings: TemplateStringsArray, ...values: any[]) => any} */ (htm.bind(preact.h));

export const render = /** @type {(tree: any, into: Element) => void} */ (preact.render);

export const useState = /** @type {<T>(first: T | (() => T)) => [T, (next: T | ((held: T) => T)) => void]} */ (/** @type {unknown} */ (hooks.useState));

export const useRef = /** @type {<T>(first: T) => { current: T }} */ (/** @type {unknown} */ (hooks.useRef));

export const useEffect = /** @type {(effect: () => unknown, inputs?: Inputs) => void} */ (/** @type {unknown} */ (hooks.useEffect));

export const useLayoutEffect = /** @type {(effect: () => unknown, inputs?: Inputs) => void} */ (/** @type {unknown} */ (hooks.useLayoutEffect));

export const useMemo = /** @type {<T>(make: () => T, inputs: Inputs) => T} */ (/** @type {unknown} */ (hooks.useMemo));

export const useCallback = /** @type {<T extends Function>(callback: T, inputs: Inputs) => T} */ (/** @type {unknown} */ (hooks.useCallback));
