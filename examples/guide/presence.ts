// Examples of docs/presence.md, which sdk/test/e2e/docs.test.tsx runs.
import type { Channel } from 'tidings'

interface Person { name: string }

export function watch(lobby: Channel<unknown, Person>, show: (text: string) => void) {
  // region watch
  const { presence } = lobby
  presence.members.subscribe(members => {
    show(members.map(member => member.data.name).join(', '))
  })
  presence.on('enter', member => show(`${member.data.name} came`))
  presence.on('leave', member => show(`${member.data.name} left`))
  lobby.subscribe()
  // endregion
}

export async function enter(lobby: Channel<unknown, Person>) {
  // region enter
  await lobby.presence.enter({ name: 'Ada' })
  await lobby.presence.update({ name: 'Ada (away)' })
  // endregion
}

export async function leave(lobby: Channel<unknown, Person>) {
  // region leave
  await lobby.presence.leave()
  // endregion
}

export async function ask(lobby: Channel<unknown, Person>) {
  // region get
  const { count, departed } = await lobby.presence.get()
  const lately = departed.map(({ user, lastSeen }) => `${user} at ${new Date(lastSeen).toISOString()}`)
  // endregion
  return { count, lately }
}
