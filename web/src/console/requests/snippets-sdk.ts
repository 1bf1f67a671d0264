// A command as a program on the TypeScript SDK.
import type { Json, JsonObject } from './schema.ts'

/** `undefined`: what the SDK does by itself. */
export function sdkProgram(
  type: string, command: JsonObject, signed: boolean, origin: string,
): string | undefined {
  const steps = stepsOf(type, command)
  if (!steps) return undefined
  const { lines, stays } = steps
  return [
    "import { createClient } from 'tidings'",
    '',
    'const client = createClient({',
    `  url: '${origin}',`,
    ...signed ? ['  token: process.env.TIDINGS_TOKEN,   // in a page: a function that asks your backend'] : [],
    '})',
    'client.connect()',
    ...command.channel === undefined ? [] : [`const channel = client.channel(${js(command.channel)})`],
    '',
    ...lines,
    ...stays ? [] : ['client.disconnect()'],
  ].join('\n')
}

function stepsOf(type: string, command: JsonObject): { lines: string[]; stays?: boolean } | undefined {
  const { data, since, rewind, presence, before, after, limit } = command
  const log = (call: string) => ({ lines: [`console.log(await ${call})`] })
  switch (type) {
    case 'publish': return log(`channel.publish(${js(data)}${options(command, ['event', 'key', 'ephemeral', 'echo'])})`)
    case 'presence': return log('channel.presence.get()')
    case 'history': return history(before ?? after, before === undefined ? 'after' : 'before', limit)
    case 'enter': case 'update':
      return { lines: [`await channel.presence.${type}(${js(data ?? null)})`], stays: true }
    case 'leave': return { lines: ['await channel.presence.leave()'] }
    case 'unsubscribe': return { lines: ['const unsubscribe = channel.subscribe()', 'unsubscribe()'] }
    case 'subscribe': return { stays: true, lines: [
      "channel.on('message', message => console.log(message.user, message.data))",
      "channel.on('gap', gap => console.log('missing', gap))",
      ...presence ? ['channel.presence.members.subscribe(members => console.log(members))'] : [],
      `channel.subscribe(${since === undefined && rewind === undefined ? ''
        : js({ ...since !== undefined && { since }, ...rewind !== undefined && { rewind } })})`,
    ] }
    case 'hello': return { stays: true, lines: ['client.status.subscribe(status => console.log(status))'] }
    default: return undefined
  }
}

/** Positions have an epoch, so that nobody pages through another history without noticing. */
function history(at: Json | undefined, side: string, limit: Json | undefined): { lines: string[] } {
  const most = limit === undefined ? '' : `limit: ${js(limit)}`
  if (at === undefined) return { lines: [`console.log(await channel.history(${most && `{ ${most} }`}))`] }
  return { lines: [
    'const [newest] = (await channel.history({ limit: 1 })).messages',
    `const ${side} = { ...newest.position, offset: ${js(at)} }`,
    `console.log(await channel.history({ ${[side, most].filter(Boolean).join(', ')} }))`,
  ] }
}

function options(command: JsonObject, names: readonly string[]): string {
  const given = names.filter(name => command[name] !== undefined)
  return given.length === 0 ? '' : `, { ${given.map(name => `${name}: ${js(command[name])}`).join(', ')} }`
}

const js = (value: Json | undefined): string => JSON.stringify(value ?? null)
