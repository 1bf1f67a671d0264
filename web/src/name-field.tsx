import { useEffect, useState } from 'react'

export const NAME_LENGTH = 40

/** A name that can be typed over: Enter or leaving the field takes it, Esc does not. */
export function NameField({ name, onChange }: { name: string; onChange: (name: string) => void }) {
  const [draft, setDraft] = useState(name)
  useEffect(() => setDraft(name), [name])

  function take() {
    const next = draft.trim()
    if (next && next !== name) onChange(next)
    else setDraft(name)
  }

  return (
    <input className="input" aria-label="Your name" title="Your name" value={draft}
      maxLength={NAME_LENGTH} autoComplete="nickname" spellCheck={false}
      onChange={event => setDraft(event.target.value)}
      onFocus={event => event.target.select()}
      onBlur={take}
      onKeyDown={event => {
        if (event.nativeEvent.isComposing) return
        if (event.key === 'Enter') take()
        if (event.key === 'Escape') setDraft(name)
      }} />
  )
}
