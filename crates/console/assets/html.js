// One import for what every component needs: `html` writes elements as tagged templates, without a build step.
import { h } from './vendor/preact/preact.js';
import htm from './vendor/htm/htm.js';

export const html = htm.bind(h);
export { Component, Fragment, render } from './vendor/preact/preact.js';
export { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from './vendor/preact/hooks.js';
