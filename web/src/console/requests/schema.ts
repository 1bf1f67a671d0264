// What of JSON Schema is needed to make a form: the server's schemas are made of its own types.

export interface Schema {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly description?: string
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly allOf?: readonly Schema[]
  readonly properties?: Readonly<Record<string, Schema | true>>
  readonly required?: readonly string[]
  readonly items?: Schema | true
  readonly additionalProperties?: Schema | boolean
  readonly examples?: readonly unknown[]
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
}

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json }
export type JsonObject = { [name: string]: Json }

export type Kind = 'text' | 'number' | 'boolean' | 'choice' | 'list' | 'object' | 'json'

export interface FieldSpec {
  readonly name: string
  readonly kind: Kind
  readonly required: boolean
  readonly help: string
  readonly placeholder: string
  readonly choices: readonly string[]
  /** Of an `object`. */
  readonly fields: readonly FieldSpec[]
  readonly least: number | undefined
  readonly most: number | undefined
  readonly whole: boolean
}

/** How deep forms go; what is below is JSON. */
const DEPTH = 3

/** The fields of an object's schema, those that are needed first. `root` is what `$ref` points into. */
export function fieldsOf(schema: Schema, root: unknown, depth = 0): FieldSpec[] {
  const { properties = {}, required = [] } = resolved(schema, root)
  const fields = Object.entries(properties)
    .filter(([, property]) => property === true || property.const === undefined)
    .map(([name, property]) => fieldOf(name, property === true ? {} : property, root,
      required.includes(name), depth))
  return [...fields.filter(f => f.required), ...fields.filter(f => !f.required)]
}

function fieldOf(name: string, given: Schema, root: unknown, required: boolean, depth: number): FieldSpec {
  const schema = resolved(given, root)
  const kind = kindOf(schema, root, depth)
  const choices = kind === 'choice' ? choicesOf(schema).map(String) : []
  return {
    name, kind, required, choices,
    help: helpOf(given.description ?? schema.description ?? '', schema, choices),
    placeholder: placeholderOf(schema, kind),
    fields: kind === 'object' ? fieldsOf(schema, root, depth + 1) : [],
    least: schema.minimum, most: schema.maximum,
    whole: types(schema).includes('integer'),
  }
}

/** Follows `$ref`, and takes `null` away: what may be left out is left out. */
export function resolved(schema: Schema, root: unknown, hops = 0): Schema {
  if (hops > 8) return {}
  if (schema.$ref !== undefined) {
    const target = pointed(root, schema.$ref)
    return target ? resolved({ ...target, ...without(schema) }, root, hops + 1) : without(schema)
  }
  if (schema.allOf?.length === 1) return resolved({ ...schema.allOf[0], ...schema, allOf: [] }, root, hops + 1)
  const either = schema.anyOf ?? schema.oneOf
  const some = either?.filter(one => one.type !== 'null')
  if (some?.length === 1) {
    const { anyOf: _, oneOf: __, ...rest } = schema
    return resolved({ ...some[0], ...rest }, root, hops + 1)
  }
  return schema
}

function without({ $ref: _, ...rest }: Schema): Schema { return rest }

function pointed(root: unknown, ref: string): Schema | undefined {
  let at: unknown = root
  for (const part of ref.replace(/^#\/?/, '').split('/')) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~')
    at = (at as Record<string, unknown> | undefined)?.[name]
  }
  return at as Schema | undefined
}

const types = ({ type }: Schema) => (typeof type === 'string' ? [type] : type ?? []).filter(t => t !== 'null')

function choicesOf(schema: Schema): readonly unknown[] {
  return schema.enum?.filter(one => one !== null)
    ?? schema.oneOf?.map(one => one.const).filter(one => one !== undefined) ?? []
}

function kindOf(schema: Schema, root: unknown, depth: number): Kind {
  if (choicesOf(schema).length > 0 && choicesOf(schema).every(one => typeof one === 'string')) return 'choice'
  const [type, ...others] = types(schema)
  if (type === undefined || others.length > 0) return 'json'
  if (type === 'string') return 'text'
  if (type === 'integer' || type === 'number') return 'number'
  if (type === 'boolean') return 'boolean'
  const { items } = schema
  if (type === 'array' && items && items !== true && types(resolved(items, root))[0] === 'string'
    && choicesOf(resolved(items, root)).length === 0) return 'list'
  return type === 'object' && schema.properties && depth < DEPTH ? 'object' : 'json'
}

function helpOf(description: string, { minimum, maximum, maxLength }: Schema, choices: readonly string[]): string {
  const text = description.replaceAll(/\s*\n\s*/g, ' ').trim()
  const limits = minimum !== undefined && maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER
    ? `${minimum} to ${maximum}.`
    : maxLength !== undefined && choices.length === 0 && !/at most/.test(text) ? `At most ${maxLength} characters.` : ''
  return [text && (/[.!?:…]$/.test(text) ? text : `${text}.`), limits].filter(Boolean).join(' ')
}

function placeholderOf(schema: Schema, kind: Kind): string {
  const [example] = schema.examples ?? []
  if (example !== undefined && example !== null) return typeof example === 'string' ? example : JSON.stringify(example)
  return kind === 'list' ? 'one a line' : ''
}

const USUAL: Readonly<Record<string, Json>> = {
  channel: 'chat:lobby', channels: ['chat:lobby'], data: { text: 'Hello' }, user: 'ada',
}

/** A request to start from: what is needed, with values that are likely to work. */
export function startOf(fields: readonly FieldSpec[], examples: readonly unknown[]): JsonObject {
  const [first] = examples
  if (first && typeof first === 'object') return structuredClone(first as JsonObject)
  const start: JsonObject = {}
  for (const field of fields.filter(field => field.required)) {
    start[field.name] = field.kind === 'text' && field.placeholder ? field.placeholder
      : structuredClone(USUAL[field.name]) ?? { text: '', number: field.least ?? 0, boolean: false,
        choice: field.choices[0] ?? '', list: [], object: {}, json: null }[field.kind] ?? null
  }
  return start
}
