// The request builder: any command of the protocol, over each transport, and any operation of the API.
import { useEffect, useRef, useState } from 'react'
import { problemOf, useApi, type Problem } from '../api.ts'
import { useLoad } from '../load.ts'
import { Loading, PageHead, Panel, ProblemBox } from '../parts.tsx'
import { replaceAddress } from '../route.ts'
import { AnswerPanel, sendApi, type ApiAnswer } from './answer.tsx'
import { entryOf, loadCatalog, type Catalog, type Entry } from './catalog.ts'
import { CodePanel } from './code-panel.tsx'
import { useRequestConnection } from './connection.ts'
import { ConnectionPanel } from './connection-panel.tsx'
import { Editor } from './editor.tsx'
import { ANONYMOUS, tokenOf } from './identity.ts'
import { linkOf, objectOf, readLink, savedOf, type Saved } from './link.ts'
import { SavedPanel } from './saved.tsx'
import type { JsonObject } from './schema.ts'
import type { Over } from './wire.ts'

export function Requests({ query }: { query: URLSearchParams }) {
  const { value: catalog, problem, reload } = useLoad('catalog', loadCatalog)
  return (
    <>
      <PageHead title="Requests" about="Build a request, send it, and see everything that comes back." />
      {problem && <ProblemBox problem={problem} onRetry={reload} />}
      {catalog ? <Builder catalog={catalog} query={query} /> : !problem && <Loading />}
    </>
  )
}

export interface Draft {
  readonly entry: Entry
  readonly over: Over
  readonly value: JsonObject
  /** The raw JSON as it is written: what it last said when it was whole is `value`. */
  readonly text: string
  readonly fault: string | undefined
}

function draftOf(entry: Entry, over: Over, value: JsonObject): Draft {
  const whole = entry.kind === 'command' ? { type: entry.type, ...value } : value
  return { entry, over, value: whole, text: JSON.stringify(whole, null, 2), fault: undefined }
}

function restored(catalog: Catalog, { e, over, v }: Saved): Draft {
  const entry = entryOf(catalog, e) ?? catalog.commands[0] ?? catalog.operations[0]
  if (!entry) throw new Error('the server describes no command')
  return draftOf(entry, over, v ?? entry.start)
}

/** What was typed as raw JSON; who changes its `type` gets the form of that command. */
function typed(catalog: Catalog, draft: Draft, text: string): Draft {
  const value = objectOf(text)
  if (!value) return { ...draft, text, fault: faultOf(text) }
  const entry = draft.entry.kind === 'command' && typeof value.type === 'string'
    ? entryOf(catalog, `command:${value.type}`) ?? draft.entry : draft.entry
  return { ...draft, entry, text, value, fault: undefined }
}

function faultOf(text: string): string {
  try {
    JSON.parse(text)
    return 'It is JSON, but not an object: {…}'
  } catch (error) {
    return `Not JSON: ${(error as Error).message}`
  }
}

function Builder({ catalog, query }: { catalog: Catalog; query: URLSearchParams }) {
  const api = useApi()
  const [draft, setDraft] = useDraft(catalog, query)
  const [identity, setIdentity] = useState(ANONYMOUS)
  const [connection, state] = useRequestConnection()
  const [answer, setAnswer] = useState<ApiAnswer>()
  const [problem, setProblem] = useState<Problem>()
  const [busy, setBusy] = useState(false)
  const { entry, over, value } = draft
  const choose = (next: Draft) => {
    setDraft(next)
    setProblem(undefined)
    if (next.entry.id !== entry.id) setAnswer(undefined)
  }

  const connect = async (hello: boolean) => connection.open(over, await tokenOf(api, identity), hello)
  const sendCommand = async () => {
    const { status, over: used } = connection.current()
    const asHello = value.type === 'hello'
    if (status === 'closed' || used !== over) {
      // Who builds a hello says it themselves.
      if (!asHello) await connect(true)
      else connection.open(over, '', false)
    }
    const token = asHello && value.token === undefined ? await tokenOf(api, identity) : ''
    connection.send(token ? { ...value, token } : value)
  }
  const doing = async (what: () => Promise<unknown>) => {
    setBusy(true)
    setProblem(undefined)
    try { await what() } catch (error) { setProblem(problemOf(error)) }
    setBusy(false)
  }
  const send = () => doing(entry.kind === 'command' ? sendCommand
    : async () => setAnswer(await sendApi(api, entry, value)))
  return (
    <div className="builder">
      <div className="column">
        <Panel title="Request">
          <Editor catalog={catalog} draft={draft} busy={busy} onSend={() => void send()}
            onEntry={entry => choose(draftOf(entry, over, entry.start))}
            onExample={example => choose(draftOf(entry, over, example))}
            onValue={value => choose({ ...draft, value, text: JSON.stringify(value, null, 2), fault: undefined })}
            onText={text => choose(typed(catalog, draft, text))}
            onOver={over => choose({ ...draft, over })} />
          {problem && <ProblemBox problem={problem} />}
        </Panel>
        <SavedPanel request={savedOf(entry.id, over, value)}
          onRestore={saved => choose(restored(catalog, saved))} />
      </div>
      <div className="column">
        <AnswerPanel catalog={catalog} entry={entry} exchange={state.exchange} answer={answer} />
        {entry.kind === 'command' && (
          <ConnectionPanel over={over} identity={identity} onIdentity={setIdentity} busy={busy}
            onConnect={() => void doing(() => connect(true))} />
        )}
        <CodePanel entry={entry} value={value} signed={identity.kind !== 'anonymous'} />
      </div>
    </div>
  )
}

/** What is being written is in the address, so that a reload keeps it and a link shares it. */
function useDraft(catalog: Catalog, query: URLSearchParams) {
  const [draft, setDraft] = useState(() => restored(catalog, readLink(query)))
  const asked = query.toString()
  const own = useRef(asked)
  useEffect(() => {
    if (asked === own.current) return
    own.current = asked
    setDraft(restored(catalog, readLink(new URLSearchParams(asked))))
  }, [asked, catalog])
  const { entry, over, value } = draft
  useEffect(() => {
    const timer = setTimeout(() => {
      const link = linkOf(savedOf(entry.id, over, value))
      if (link === undefined) return
      own.current = link.slice(link.indexOf('?') + 1)
      replaceAddress(link)
    }, 150)
    return () => clearTimeout(timer)
  }, [entry, over, value])
  return [draft, setDraft] as const
}
