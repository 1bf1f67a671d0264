// Examples of docs/live-data.md, which sdk/test/e2e/docs.test.tsx runs.
import type { Client, TidingsError } from 'tidings'
import { live, type LiveState } from 'tidings/live'

interface Board { title: string; done: { count: number; last?: string } }

export function watch(client: Client, show: (text: string) => void) {
  // region watch
  const board = live<Board>(client, 'board:main')
  board.value.subscribe(values => show(`${values?.title}: ${values?.done?.count} done`))
  board.subscribe()
  // endregion
  return board
}

export async function write(board: LiveState<Board>) {
  // region write
  await board.set('title', 'Plan')
  await board.set('done', { count: 1, last: 'milk' })
  await board.patch('done', { count: 2, last: null })
  // endregion
}

export async function compare(board: LiveState<Board>, show: (text: string) => void) {
  // region compare
  const { value, version } = board.entry('title')!
  try {
    await board.set('title', `${value} B`, { ifVersion: version })
  } catch (error) {
    if ((error as TidingsError).code === 'conflict') show('somebody was faster')
  }
  // endregion
}
