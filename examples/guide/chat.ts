// Examples of docs/chat.md, which sdk/test/e2e/docs.test.tsx runs.
import type { Channel } from 'tidings'

interface Text { text: string }
type Show = (text: string) => void

export function watch(room: Channel<Text>, show: Show) {
  // region watch
  room.on('message', ({ position, data, deleted, edited, reactions }) => {
    show(`${position?.offset}: ${deleted ? 'deleted' : data.text}${edited ? ' (edited)' : ''}`)
    for (const [reaction, { count }] of Object.entries(reactions ?? {})) show(`${reaction} ${count}`)
  })
  room.on('change', change => {
    if (change.kind === 'edited') show(`${change.target} is now: ${change.data.text}`)
    if (change.kind === 'deleted') show(`${change.target} is gone`)
    if (change.kind === 'reacted') show(`${change.target} has ${change.count} ${change.reaction}`)
  })
  room.subscribe({ rewind: 20 })
  // endregion
}

export async function change(room: Channel<Text>) {
  // region change
  const { position } = await room.publish({ text: 'Helo' })
  const { offset } = position!
  await room.edit(offset, { text: 'Hello' })
  await room.react(offset, '👍')
  await room.react(offset, '👍', { remove: true })
  await room.delete(offset)
  // endregion
}
