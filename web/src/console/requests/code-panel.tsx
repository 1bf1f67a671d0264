// The request as a program.
import { useState } from 'react'
import { CopyButton, Panel } from '../parts.tsx'
import type { Entry } from './catalog.ts'
import type { JsonObject } from './schema.ts'
import { snippetsOf } from './snippets.ts'

export function CodePanel({ entry, value, signed }: { entry: Entry; value: JsonObject; signed: boolean }) {
  const snippets = snippetsOf(entry, value, signed, location.origin)
  const [asked, setAsked] = useState('curl')
  const chosen = snippets.find(({ name }) => name === asked) ?? snippets[0]
  if (!chosen) return null
  return (
    <Panel title="As code" actions={<CopyButton text={chosen.code} label="Copy code" />}>
      <div className="switch" role="group" aria-label="Language">
        {snippets.map(({ name }) => (
          <button key={name} aria-pressed={name === chosen.name} onClick={() => setAsked(name)}>{name}</button>
        ))}
      </div>
      <pre className="json code" tabIndex={0} role="region" aria-label={chosen.name}><code>{chosen.code}</code></pre>
      <p className="help">{chosen.note}</p>
    </Panel>
  )
}
