import { useMemo, useRef, useState, useSyncExternalStore, type FormEvent } from 'react'
import { plural } from '../format.ts'
import { Plus, Trash } from '../icons.tsx'
import type { Plan } from './plan.ts'
import { addTodo, removeTodo, TEXT_LENGTH, tickTodo, todosIn, type Todo } from './todos.ts'

function useTodos(plan: Plan): readonly Todo[] {
  const [subscribe, read] = useMemo(() => {
    let all = todosIn(plan)
    return [(changed: () => void) => {
      const take = () => {
        all = todosIn(plan)
        changed()
      }
      plan.todos.observeDeep(take)
      take()
      return () => plan.todos.unobserveDeep(take)
    }, () => all] as const
  }, [plan])
  return useSyncExternalStore(subscribe, read)
}

export function Todos({ plan, writable }: { plan: Plan; writable: boolean }) {
  const todos = useTodos(plan)
  const [draft, setDraft] = useState('')
  const list = useRef<HTMLUListElement>(null)
  const field = useRef<HTMLInputElement>(null)
  const left = todos.filter(({ done }) => !done).length

  function add(event: FormEvent) {
    event.preventDefault()
    const text = draft.trim()
    if (!text || !writable) return
    addTodo(plan, text)
    setDraft('')
  }

  /** The focus goes to the one that takes its place, or else the last, or else the field: never to nothing. */
  function remove(at: number) {
    const buttons = [...list.current!.querySelectorAll<HTMLElement>('.remove')]
    const next = buttons[at + 1] ?? buttons[at - 1] ?? field.current
    removeTodo(plan, todos[at]!.id)
    next?.focus()
  }

  return (
    <section className="todos" aria-labelledby="todos-title">
      <h2 id="todos-title">To do <small>{todos.length ? `${left} of ${plural(todos.length, 'entry', 'entries')} left` : ''}</small></h2>
      <ul ref={list}>
        {todos.map(({ id, text, done }, at) => (
          <li key={id}>
            <label>
              <input type="checkbox" checked={done} disabled={!writable}
                onChange={event => tickTodo(plan, id, event.target.checked)} />
              <span className={done ? 'done' : undefined}>{text}</span>
            </label>
            {writable && (
              <button className="icon-button remove" aria-label={`Remove “${text}”`} onClick={() => remove(at)}>
                <Trash size={16} />
              </button>
            )}
          </li>
        ))}
      </ul>
      {!todos.length && <p className="none">Nothing yet.</p>}
      <form onSubmit={add}>
        <input ref={field} className="input" aria-label="What is to do" placeholder="What is to do" value={draft}
          maxLength={TEXT_LENGTH} disabled={!writable} onChange={event => setDraft(event.target.value)} />
        <button className="button" aria-disabled={!draft.trim() || !writable}><Plus size={16} />Add</button>
      </form>
    </section>
  )
}
