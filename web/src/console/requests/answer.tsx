// What the server said to the last request.
import { useEffect, useRef } from 'react'
import type { Api } from '../api.ts'
import { Json } from '../json.tsx'
import { CopyButton, Panel, Prose } from '../parts.tsx'
import { requestOf, type ApiEntry, type Catalog, type Entry } from './catalog.ts'
import type { Exchange } from './connection.ts'
import type { JsonObject } from './schema.ts'

export interface ApiAnswer {
  readonly status: number
  readonly ms: number
  /** JSON, or text if it is none. */
  readonly body: unknown
}

export async function sendApi(api: Api, entry: ApiEntry, value: JsonObject): Promise<ApiAnswer> {
  const { path, body } = requestOf(entry, value)
  const began = performance.now()
  const answer = await api.fetch(path, {
    method: entry.method,
    ...body !== undefined && { body, headers: { 'content-type': 'application/json' } },
  })
  const text = await answer.text()
  const ms = performance.now() - began
  try {
    return { status: answer.status, ms, body: JSON.parse(text) as unknown }
  } catch {
    return { status: answer.status, ms, body: text }
  }
}

export function AnswerPanel({ catalog, entry, exchange, answer }: {
  catalog: Catalog
  entry: Entry
  exchange: Exchange | undefined
  answer: ApiAnswer | undefined
}) {
  const shown = entry.kind === 'api' ? answer && ofApi(answer) : exchange && ofCommand(exchange)
  const code = (shown?.body as { code?: unknown } | undefined)?.code
  const meaning = shown?.good || typeof code !== 'string' ? undefined : catalog.errors.get(code)
  const place = useIntoView(entry.kind === 'api' ? answer : exchange?.answer)
  return (
    <Panel title="Answer" className="answer" actions={shown?.body !== undefined
      && <CopyButton text={() => JSON.stringify(shown.body, null, 2)} />}>
      <div role="status" ref={place}>
        {!shown ? <p className="none">It stands here as soon as the request is sent.</p> : (
          <p className="answer-head">
            <span className={shown.good === undefined ? 'tag' : shown.good ? 'tag ok' : 'tag bad'}>{shown.title}</span>
            {shown.ms !== undefined && <span>{shown.ms < 10 ? shown.ms.toFixed(1) : Math.round(shown.ms)} ms</span>}
          </p>
        )}
        {meaning && <p className="help"><Prose text={meaning.summary} />{meaning.retryable && ' It may succeed later.'}</p>}
      </div>
      {shown?.body !== undefined && <Json value={shown.body} label="What was answered" />}
    </Panel>
  )
}

/** Where the answer stands below the request, a new one is brought into sight. */
function useIntoView(answer: unknown) {
  const place = useRef<HTMLDivElement>(null)
  const before = useRef(answer)
  useEffect(() => {
    if (before.current === answer) return
    before.current = answer
    if (answer) place.current?.parentElement?.scrollIntoView({ block: 'nearest', behavior: 'smooth' })
  }, [answer])
  return place
}

interface Shown {
  readonly title: string
  readonly good: boolean | undefined
  readonly ms?: number
  readonly body?: unknown
}

const ofApi = ({ status, ms, body }: ApiAnswer): Shown => ({ title: String(status), good: status < 400, ms, body })

function ofCommand({ answer, at, lost }: Exchange): Shown {
  if (answer) {
    return { title: answer.type, good: answer.type !== 'error', ms: answer.at - at, body: answer.value }
  }
  return lost === undefined ? { title: 'waiting…', good: undefined }
    : { title: `no answer: ${lost}`, good: false }
}
