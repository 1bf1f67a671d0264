// A document as people read it, and what is another in it now.
import { diffLines, diffWordsWithSpace, type ChangeObject } from 'diff'
import { XmlElement, XmlText, type Doc, type XmlFragment } from 'yjs'
import { NOTES } from '../plan.ts'
import { todosIn } from '../todos.ts'

export interface Section { readonly title: string; readonly text: string }
/** `changes`: from then to now; `null` where they are too many to be found in good time. */
export interface Compared extends Section { readonly changes: readonly ChangeObject<string>[] | null }

/** Deeper than anybody writes. */
const DEEPEST = 20
/** How long finding out may take, of each section. */
const PATIENCE_MS = 200

/** Always the same sections in the same order. */
export const sectionsOf = (doc: Doc): readonly Section[] => [
  { title: 'Text', text: doc.getText('text').toString() },
  { title: 'Notes', text: linesIn(doc.getXmlFragment(NOTES)).join('\n').trimEnd() },
  { title: 'To do', text: todosIn({ todos: doc.getMap('todos') }).map(({ text, done }) => `${done ? '☑' : '☐'} ${text}`).join('\n') },
]

function linesIn(parent: XmlFragment, depth = 0): string[] {
  const children = parent.toArray()
  if (depth > DEEPEST) return []
  const inline = children.some(child => child instanceof XmlText)
  return inline ? [children.map(textIn).join('')]
    : children.flatMap(child => child instanceof XmlElement ? child.length ? linesIn(child, depth + 1) : [''] : [])
}

function textIn(child: unknown): string {
  if (child instanceof XmlElement) return child.nodeName === 'hardBreak' ? '\n' : ''
  if (!(child instanceof XmlText)) return ''
  return (child.toDelta() as { insert: unknown }[]).map(({ insert }) => typeof insert === 'string' ? insert : '').join('')
}

/** What is in neither is left out. */
export function compare(then: readonly Section[], now: readonly Section[]): readonly Compared[] {
  return then.map((section, at) => ({ ...section, changes: changesOf(section.text, now[at]!.text) }))
    .filter(({ text }, at) => text || now[at]!.text)
}

function changesOf(then: string, now: string): readonly ChangeObject<string>[] | null {
  const timeout = PATIENCE_MS
  return diffWordsWithSpace(then, now, { timeout }) ?? diffLines(then, now, { timeout }) ?? null
}

export const isSame = (all: readonly Compared[]): boolean =>
  all.every(({ changes }) => changes?.every(({ added, removed }) => !added && !removed))
