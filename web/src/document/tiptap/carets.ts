// Carets of others as Tiptap shows them, drawn as those in the text are.
import type { DecorationAttrs } from '@tiptap/pm/view'
import { hueOf } from '../../format.ts'
import { nameIn } from '../../session.ts'

/** Colours are ours, whatever somebody says that theirs is. */
function personOf(user: Record<string, unknown>): { name: string; hue: number } {
  const name = nameIn(user, 'Somebody')
  return { name, hue: hueOf(name) }
}

export function renderCaret(user: Record<string, unknown>): HTMLElement {
  const { name, hue } = personOf(user)
  const caret = document.createElement('span')
  caret.className = 'caret'
  caret.style.setProperty('--hue', String(hue))
  caret.setAttribute('aria-hidden', 'true')
  const label = document.createElement('span')
  label.className = 'caret-name'
  label.textContent = name
  caret.append(label)
  return caret
}

export const renderSelection = (user: Record<string, unknown>): DecorationAttrs =>
  ({ nodeName: 'span', class: 'theirs', style: `--hue: ${personOf(user).hue}` })
