// @ts-check
// A recorded request as a command that makes it again. Pure; tested with `node --test`.

/** @param {string} text for a POSIX shell */
export function shellQuoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * @param {any} call as `/api/requests/{id}` tells it
 * @param {string} origin of the gateway
 */
export function curlOf(call, origin) {
  const lines = [`curl ${call.method === 'POST' ? '' : `-X ${call.method} `}${shellQuoted(origin + call.path)}`, '-H "Authorization: Bearer $TACHOGRAPH_KEY"'];
  const about = [
    ['Helicone-User-Id', call.user],
    ['Helicone-Session-Id', call.session?.id],
    ['Helicone-Session-Path', call.session?.path],
    ['Helicone-Session-Name', call.session?.name],
    ['Helicone-Prompt-Id', call.prompt?.id],
    ...Object.entries(call.properties ?? {}).map(([name, value]) => [`Helicone-Property-${name}`, value]),
  ];
  for (const [name, value] of about) if (value) lines.push(`-H ${shellQuoted(`${name}: ${value}`)}`);
  if (call.request.text) lines.push("-H 'Content-Type: application/json'", `--data-raw ${shellQuoted(call.request.text)}`);
  return lines.join(' \\\n  ');
}
