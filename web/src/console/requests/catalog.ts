// Everything that can be asked of the server, from its own descriptions: the commands of the
// protocol, and the operations of the HTTP API.
import { ProblemError, reach, readProblem } from '../api.ts'
import { fieldsOf, startOf, type FieldSpec, type JsonObject, type Schema } from './schema.ts'

interface EntryBase {
  /** `command:publish`, `api:publish`: what links say. */
  readonly id: string
  readonly title: string
  readonly summary: string
  readonly fields: readonly FieldSpec[]
  readonly start: JsonObject
  readonly examples: readonly JsonObject[]
}
export interface CommandEntry extends EntryBase { readonly kind: 'command'; readonly type: string }
export interface ApiEntry extends EntryBase {
  readonly kind: 'api'
  readonly method: string
  /** As `/channels/{channel}`. */
  readonly path: string
  readonly base: string
  readonly inPath: readonly string[]
  readonly inQuery: readonly string[]
  readonly hasBody: boolean
  readonly streams: boolean
}
export type Entry = CommandEntry | ApiEntry

export interface Catalog {
  readonly commands: readonly CommandEntry[]
  readonly operations: readonly ApiEntry[]
  /** What codes mean. */
  readonly errors: ReadonlyMap<string, { readonly summary: string; readonly retryable: boolean }>
}

interface Commands {
  readonly commands: readonly { type: string; summary: string; schema: Schema; examples?: JsonObject[] }[]
  readonly errors?: readonly { code: string; summary: string; retryable: boolean }[]
}
interface Parameter { name: string; in: string; required?: boolean; description?: string; schema?: Schema }
interface Operation {
  operationId: string
  summary?: string
  parameters?: readonly Parameter[]
  requestBody?: { content: Record<string, { schema: Schema }> }
  responses?: Record<string, { content?: Record<string, unknown> }>
}
interface OpenApi {
  servers?: readonly { url: string }[]
  paths: Record<string, Record<string, Operation>>
}

/** Once a page: it is of the server's version. */
let loading: Promise<Catalog> | undefined

export function loadCatalog(): Promise<Catalog> {
  loading ??= Promise.all([json<Commands>('/api/commands.json'), json<OpenApi>('/api/openapi.json')])
    .then(([commands, openapi]) => ({
      commands: commands.commands.map(command => commandOf(command, commands)),
      operations: Object.entries(openapi.paths).flatMap(([path, methods]) =>
        Object.entries(methods).map(([method, operation]) => operationOf(path, method, operation, openapi))),
      errors: new Map(commands.errors?.map(error => [error.code, error])),
    }))
  loading.catch(() => { loading = undefined })
  return loading
}

async function json<T>(path: string): Promise<T> {
  const answer = await reach(path)
  if (!answer.ok) throw new ProblemError(await readProblem(answer))
  return await answer.json() as T
}

function commandOf({ type, summary, schema, examples = [] }: Commands['commands'][number], root: unknown): CommandEntry {
  // References are into the command's own schema, or into the document.
  const where = { ...(root as object), ...schema }
  // `type` says which command it is, and `id` is given when it is sent.
  const fields = fieldsOf(schema, where).filter(({ name }) => name !== 'id' && name !== 'type')
  // Examples of tokens and tickets let nobody in.
  const bare = examples.map(({ id: _, type: __, token: ___, session: ____, ...example }) => example)
  return { kind: 'command', id: `command:${type}`, type, title: type, summary, fields, examples: bare,
    start: startOf(fields, bare) }
}

function operationOf(path: string, method: string, operation: Operation, root: OpenApi): ApiEntry {
  const parameters = operation.parameters ?? []
  const body = operation.requestBody?.content['application/json']?.schema
  // What is in the path is encoded here.
  const schema: Schema = {
    properties: Object.fromEntries(parameters.map(({ name, description = '', schema }) =>
      [name, { ...schema, description: description.replace(/, percent-encoded$/, '') }])),
    required: parameters.filter(({ required }) => required).map(({ name }) => name),
  }
  const fields = [...fieldsOf(schema, root), ...body ? fieldsOf(body, root) : []]
  const names = (where: string) => parameters.filter(parameter => parameter.in === where).map(({ name }) => name)
  return {
    kind: 'api', id: `api:${operation.operationId}`, title: `${method.toUpperCase()} ${path}`,
    summary: operation.summary ?? '', fields, examples: [], start: startOf(fields, []),
    method: method.toUpperCase(), path, base: root.servers?.[0]?.url ?? '/api/v1',
    inPath: names('path'), inQuery: names('query'), hasBody: body !== undefined,
    streams: Object.values(operation.responses ?? {}).some(({ content }) => content?.['text/event-stream']),
  }
}

export const entryOf = (catalog: Catalog, id: string): Entry | undefined =>
  [...catalog.commands, ...catalog.operations].find(entry => entry.id === id)

/** The request that a value makes: what of it stands in the path, the query, and the body. */
export function requestOf(entry: ApiEntry, value: JsonObject): { path: string; body: string | undefined } {
  const plain = (name: string) => {
    const part = value[name]
    return part === undefined || part === null ? '' : typeof part === 'string' ? part : JSON.stringify(part)
  }
  const path = entry.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(plain(name)))
  const query = new URLSearchParams(entry.inQuery.filter(name => plain(name) !== '')
    .map(name => [name, plain(name)])).toString()
  const elsewhere = [...entry.inPath, ...entry.inQuery]
  const body = entry.hasBody
    ? JSON.stringify(Object.fromEntries(Object.entries(value).filter(([name]) => !elsewhere.includes(name))), null, 2)
    : undefined
  return { path: `${entry.base}${path}${query && `?${query}`}`, body }
}
