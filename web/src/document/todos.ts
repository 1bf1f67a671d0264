// The list of what is to do: a Y.Map whose values are maps, so that two who change one entry both succeed.
import { Map as YMap } from 'yjs'
import type { Plan } from './plan.ts'

export interface Todo { readonly id: string; readonly text: string; readonly done: boolean; readonly at: number }

export const TEXT_LENGTH = 200

/** Oldest first. What others wrote can be anything: it came over the network. */
export function todosIn({ todos }: Pick<Plan, 'todos'>): readonly Todo[] {
  const all: Todo[] = []
  for (const [id, entry] of todos) {
    if (!(entry instanceof YMap)) continue
    const [text, at] = [entry.get('text'), entry.get('at')]
    if (typeof text !== 'string') continue
    all.push({ id, text: text.slice(0, TEXT_LENGTH), done: entry.get('done') === true, at: typeof at === 'number' ? at : 0 })
  }
  return all.sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1))
}

export function addTodo({ doc, todos }: Plan, text: string): void {
  const id = `${doc.clientID.toString(36)}-${Date.now().toString(36)}-${todos.size}`
  todos.set(id, new YMap<unknown>([['text', text], ['done', false], ['at', Date.now()]]))
}

export function tickTodo({ todos }: Plan, id: string, done: boolean): void {
  const entry = todos.get(id)
  if (entry instanceof YMap) entry.set('done', done)
}

export const removeTodo = ({ todos }: Plan, id: string): void => todos.delete(id)
