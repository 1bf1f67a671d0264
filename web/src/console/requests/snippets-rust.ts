// A request as a Rust program: a command on tidings-client, an operation of the API on ureq.
import type { Json, JsonObject } from './schema.ts'

export function rustClient(type: string, command: JsonObject, signed: boolean, origin: string): string {
  const steps = stepsOf(type, command)
  return [
    'use serde_json::json;',
    `use tidings_client::{Client, Options${type === 'subscribe' && command.since ? ', Position' : ''}};`,
    '',
    '#[tokio::main(flavor = "current_thread")]',
    'async fn main() -> Result<(), Box<dyn std::error::Error>> {',
    ...signed ? [
      '    let token = std::env::var("TIDINGS_TOKEN")?;',
      '    let options = Options { token: Some(token.into()), ..Options::default() };',
      `    let client = Client::connect("${origin}", options).await?;`,
    ] : [`    let client = Client::connect("${origin}", Options::default()).await?;`],
    ...steps.flatMap(step => step.split('\n')).map(line => line && `    ${line}`),
    '    client.close().await;',
    '    Ok(())',
    '}',
  ].filter(line => line !== 'use serde_json::json;' || steps.some(step => step.includes('json!')))
    .join('\n')
}

function stepsOf(type: string, command: JsonObject): string[] {
  const { type: _, id: __, ...fields } = command
  const channel = `client.channel(${text(command.channel)})`
  switch (type) {
    case 'hello': return ['let welcome = client.welcomed().await?;', 'println!("{welcome:?}");']
    // The server refuses a token for another user; the client asks for a new one by itself.
    case 'refresh': return ['let token = std::env::var("TIDINGS_TOKEN")?;',
      'let answer = client.request("refresh", json!({ "token": token })).await?;', 'println!("{}", answer.text());']
    case 'publish': return [`let ack = ${channel}.publish(${json(command.data)})${[
      command.event === undefined ? '' : `.event(${text(command.event)})`,
      command.key === undefined ? '' : `.key(${text(command.key)})`,
      command.ephemeral === true ? '.ephemeral()' : '',
      command.echo === false ? '.no_echo()' : '',
    ].join('')}.await?;`, 'println!("{ack:?}");']
    case 'subscribe': return subscribe(channel, command)
    default: return [
      `let answer = client.request(${text(type)}, ${json(fields)}).await?;`, 'println!("{}", answer.text());',
    ]
  }
}

function subscribe(channel: string, { since, rewind, presence }: JsonObject): string[] {
  const { epoch, offset } = (since ?? {}) as JsonObject
  const options = [
    since === undefined ? '' : `.since(Position { epoch: ${text(epoch)}.into(), offset: ${Number(offset ?? 0)} })`,
    rewind === undefined ? '' : `.rewind(${Number(rewind)})`,
    presence === true ? '.presence()' : '',
  ].join('')
  return [
    `let mut pushes = ${channel}.subscribe()${options}.await?;`,
    'while let Some(push) = pushes.next().await {',
    '    println!("{}", push?.frame().text());',
    '}',
  ]
}

export function rustHttp(method: string, url: string, body: string | undefined): string {
  const call = method === 'POST' ? 'post' : method === 'DELETE' ? 'delete' : method === 'PUT' ? 'put' : 'get'
  return [
    'fn main() -> Result<(), Box<dyn std::error::Error>> {',
    '    let key = std::env::var("TIDINGS_KEY")?;',
    '    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();',
    `    let mut answer = agent.${call}(${text(url)})`,
    '        .header("Authorization", format!("Bearer {key}"))',
    ...body === undefined ? ['        .call()?;'] : [
      '        .header("Content-Type", "application/json")',
      `        .send(${raw(body)})?;`,
    ],
    '    println!("{} {}", answer.status(), answer.body_mut().read_to_string()?);',
    '    Ok(())',
    '}',
  ].join('\n')
}

/** A Rust string: what JSON escapes, Rust escapes otherwise. */
function text(value: Json | undefined): string {
  const escaped = Array.from(String(value ?? ''), c =>
    c === '"' || c === '\\' ? `\\${c}` : c < ' ' || c === '\x7f' ? `\\u{${c.charCodeAt(0).toString(16)}}` : c)
  return `"${escaped.join('')}"`
}

/** A raw string with as many `#` as nothing in it ends. */
function raw(body: string): string {
  let fence = '#'
  while (body.includes(`"${fence}`)) fence += '#'
  return `r${fence}"${body}"${fence}`
}

/** Rust reads JSON's literals, but neither `\/` nor `\uXXXX`; `JSON.stringify` writes the second for controls. */
function json(value: Json | undefined): string {
  return `json!(${literal(value ?? null)})`
}

function literal(value: Json): string {
  if (typeof value === 'string') return text(value)
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`
  if (value !== null && typeof value === 'object') {
    const members = Object.entries(value).map(([name, member]) => `${text(name)}: ${literal(member)}`)
    return members.length === 0 ? '{}' : `{ ${members.join(', ')} }`
  }
  return String(value)
}
