// @ts-check
// How calls ended, in words and colours.

/** @type {Record<string, { label: string, tone: string, about: string }>} */
export const OUTCOMES = {
  complete: { label: 'Complete', tone: 'good', about: 'The client was handed the whole answer.' },
  refused: { label: 'Refused', tone: 'warn', about: 'The gateway itself said no.' },
  upstream_failed: { label: 'Failed', tone: 'bad', about: 'The provider answered with an error or could not be reached.' },
  cut_short: { label: 'Cut short', tone: 'bad', about: 'The answer began but stopped before its end.' },
  client_gone: { label: 'Client left', tone: 'warn', about: 'The client left before it had the whole answer.' },
  interrupted: { label: 'Interrupted', tone: 'bad', about: 'The gateway’s process died while the call was under way.' },
};

/** @param {string} outcome */
export function outcomeOf(outcome) {
  return OUTCOMES[outcome] ?? { label: outcome, tone: 'warn', about: '' };
}

/**
 * Whether the call may well have cost something, so that a missing figure is "unknown" and no dash.
 * @param {any} call
 */
export function mayHaveCost(call) {
  const { status: cached = 'miss' } = call.control?.cache ?? {};
  // A stored answer uses nothing, nor does a look at what is there.
  if (call.cost.status === 'no_usage' && (cached !== 'miss' || call.method === 'GET')) return false;
  return call.cost.status !== 'no_usage' || ['complete', 'cut_short', 'client_gone', 'interrupted'].includes(call.outcome);
}

/** @type {Record<string, string>} */
export const COST_STATES = {
  unknown_model: 'There is usage, but no price for this model.',
  no_usage: 'The provider told no usage.',
  invalid_usage: 'The provider’s numbers contradict themselves.',
};

/**
 * The colour that stands for a name on every page: one of eight. The factor is one under which the eight commonest
 * providers do not share theirs.
 * @param {string | null} name
 */
export function hueOf(name) {
  let sum = 0;
  for (const letter of name ?? '') sum = (Math.imul(sum, 147) + letter.charCodeAt(0)) >>> 0;
  return `hue-${(sum >>> 8) % 8}`;
}
