// One channel: how it is, who is in it, what was said, and a way to say something.
import { useState, type ReactNode } from 'react'
import { inPath, useApi } from './api.ts'
import type { ChannelInfo } from './channels.tsx'
import { DocumentPanel, type DocumentInfo } from './document/document.tsx'
import { bytes, count } from './format.ts'
import { HistoryPanel } from './history.tsx'
import { kindOf, userOf, useKinds } from './kinds.ts'
import { useLoad } from './load.ts'
import { Members } from './members.tsx'
import { CopyButton, Facts, PageHead, ProblemBox } from './parts.tsx'
import { PublishPanel } from './publish.tsx'
import { Readers } from './readers.tsx'
import { href } from './route.ts'
import { StatePanel, type StateEntry } from './state/state.tsx'
import { WritePanel } from './state/write.tsx'

const REFRESH_MS = 1500

export function ChannelPage({ channel }: { channel: string }) {
  const api = useApi()
  const [published, setPublished] = useState(0)
  const info = useLoad(`${channel} ${published}`,
    signal => api.get<ChannelInfo>(`/channels/${inPath(channel)}`, {}, signal), REFRESH_MS)
  const [last, setLast] = useState<ChannelInfo>()
  if (info.value && info.value !== last) setLast(info.value)
  const [read, setRead] = useState<DocumentInfo>()
  const absent = info.problem?.status === 404
  const known = absent ? undefined : info.value ?? last
  const kind = kindOf(useKinds(), channel)
  const subscribe = JSON.stringify({ channel, rewind: 10, presence: true })
  return (
    <>
      <PageHead title={channel} mono back={{ href: href('channels'), label: 'Channels' }}>
        <CopyButton text={channel} label="Copy name" small={false} />
        <a className="button" href={href('requests', undefined, { e: 'command:subscribe', v: subscribe })}>Subscribe</a>
        <a className="button main" href={href('trace', undefined, { channel })}>Trace this channel</a>
      </PageHead>
      {absent ? <Absent detail={info.problem?.detail ?? ''} />
        : info.problem && <ProblemBox problem={info.problem} onRetry={info.reload} />}
      {known && <Facts facts={kind === 'document' ? documentFacts(known, read) : factsOf(known)} />}
      {kind === 'events' && (
        <div className="two-columns">
          <HistoryPanel channel={channel} newest={known?.offset} turn={published} />
          <div className="column">
            <PublishPanel channel={channel} onPublished={() => setPublished(n => n + 1)} />
            <Members channel={channel} />
          </div>
        </div>
      )}
      {kind === 'state' && <StateColumns channel={channel} />}
      {kind === 'document' && (
        <div className="two-columns">
          <DocumentPanel key={channel} channel={channel} newest={known?.offset} onRead={setRead} />
          <Readers channel={channel} />
        </div>
      )}
      {kind === 'inbox' && (
        <p className="notice">
          <b>The inbox of <a dir="auto" href={href('users', userOf(channel))}>{userOf(channel)}</a>:</b> what
          is in it stands on the user’s page.
        </p>
      )}
    </>
  )
}

type FactList = readonly (readonly [string, ReactNode])[]

const factsOf = (known: ChannelInfo): FactList => [
  ['Subscribers', count(known.subscriptions)],
  ['Members', count(known.members)],
  ['Offset', count(known.offset)],
  ['In history', count(known.events)],
  ['Epoch', <code key="epoch">{known.epoch}</code>],
]

/** Its log has an epoch of its own, which nobody asks for. */
const documentFacts = (known: ChannelInfo, read: DocumentInfo | undefined): FactList => [
  ['Subscribers', count(known.subscriptions)],
  ['Offset', count(known.offset)],
  ['Bytes', read ? bytes(read.bytes) : '…'],
  ['Clients that wrote', read ? count(read.clients) : '…'],
  ['Epoch', read ? <code key="epoch">{read.epoch}</code> : '…'],
]

function StateColumns({ channel }: { channel: string }) {
  const [turn, setTurn] = useState(0)
  const [picked, setPicked] = useState<StateEntry>()
  return (
    <div className="two-columns">
      <StatePanel channel={channel} turn={turn} onPick={setPicked} />
      <div className="column">
        <WritePanel channel={channel} picked={picked} onWritten={() => setTurn(n => n + 1)} />
        <Members channel={channel} />
      </div>
    </div>
  )
}

function Absent({ detail }: { detail: string }) {
  return (
    <p className="notice">
      <b>Not in memory:</b> nobody uses it now, so nobody is subscribed. What is on disk is below.
      {!detail.includes('memory') && <> The server says: {detail}</>}
    </p>
  )
}
