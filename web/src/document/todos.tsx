import { useLayoutEffect, useMemo, useRef, useState, useSyncExternalStore, type FocusEvent, type FormEvent, type RefObject } from 'react'
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

/**
 * Who removes an entry is somebody else: the focus that was in it goes to the one that takes its place, in the same kind
 * of control, or else the last, or else `otherwise`.
 */
function useFocusIn(todos: readonly Todo[], otherwise: RefObject<HTMLElement | null>) {
  const list = useRef<HTMLUListElement>(null)
  const focused = useRef<{ id: string; control: string } | null>(null)
  const before = useRef(todos)
  useLayoutEffect(() => {
    const { id, control } = focused.current ?? {}
    if (id !== undefined && !todos.some(todo => todo.id === id)) {
      const at = before.current.findIndex(todo => todo.id === id)
      const all = list.current!.querySelectorAll<HTMLElement>(control!)
      focused.current = null
      ;(all[at] ?? all[all.length - 1] ?? otherwise.current)?.focus()
    }
    before.current = todos
  }, [todos, otherwise])
  const onFocus = (id: string) => ({ target }: FocusEvent) => {
    focused.current = { id, control: target.matches('.remove') ? '.remove' : 'input' }
  }
  // Not called when React removes it.
  const onBlur = () => { focused.current = null }
  return { list, onFocus, onBlur }
}

export function Todos({ plan, writable }: { plan: Plan; writable: boolean }) {
  const todos = useTodos(plan)
  const [draft, setDraft] = useState('')
  const field = useRef<HTMLInputElement>(null)
  const { list, onFocus, onBlur } = useFocusIn(todos, field)
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
          <li key={id} onFocus={onFocus(id)} onBlur={onBlur}>
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
