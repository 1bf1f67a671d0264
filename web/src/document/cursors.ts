// Where others are in the text, and where we are. Their positions are `cursor` in awareness, as y-codemirror's and Tiptap's are.
import { RangeSet, StateEffect, type Range } from '@codemirror/state'
import { Decoration, EditorView, ViewPlugin, WidgetType, type DecorationSet, type ViewUpdate } from '@codemirror/view'
import {
  compareRelativePositions, createAbsolutePositionFromRelativePosition, createRelativePositionFromJSON,
  createRelativePositionFromTypeIndex, type Text,
} from 'yjs'
import { personOf, type Neighbours, type Person } from './who.ts'

const moved = StateEffect.define<null>()

class Caret extends WidgetType {
  constructor(readonly person: Person) { super() }

  override eq({ person }: Caret): boolean { return person.name === this.person.name && person.hue === this.person.hue }

  override toDOM(): HTMLElement {
    const caret = document.createElement('span')
    caret.className = 'cm-caret'
    caret.style.setProperty('--hue', String(this.person.hue))
    // For the eye only: in the list of people it is told to everybody.
    caret.setAttribute('aria-hidden', 'true')
    const name = document.createElement('span')
    name.className = 'cm-caret-name'
    name.textContent = this.person.name
    caret.append(name)
    return caret
  }

  override ignoreEvent(): boolean { return true }
}

class Cursors {
  decorations: DecorationSet = RangeSet.empty
  readonly #end: () => void

  constructor(view: EditorView, readonly text: Text, readonly open: Neighbours) {
    const { awareness } = open
    const changed = ({ added, updated, removed }: Record<string, number[]>): void => {
      const others = [...added!, ...updated!, ...removed!].some(client => client !== awareness!.clientID)
      if (others) view.dispatch({ effects: moved.of(null) })
    }
    awareness?.on('change', changed)
    this.#end = () => awareness?.off('change', changed)
    this.#draw(view)
  }

  destroy(): void {
    this.open.awareness?.setLocalStateField('cursor', null)
    this.#end()
  }

  update(update: ViewUpdate): void {
    if (update.selectionSet || update.docChanged || update.focusChanged) this.#tell(update.view)
    const told = update.transactions.some(({ effects }) => effects.some(effect => effect.is(moved)))
    if (update.docChanged || told) this.#draw(update.view)
  }

  #tell({ state, hasFocus }: EditorView): void {
    const { awareness } = this.open
    const before = awareness?.getLocalState()?.cursor ?? null
    const { anchor, head } = state.selection.main
    const at = (index: number) => createRelativePositionFromTypeIndex(this.text, index)
    const now = hasFocus ? { anchor: at(anchor), head: at(head) } : null
    // Another editor of this client may be where one is: that is not ours to take away.
    const ours = before !== null && this.#place(before.anchor) !== null
    const same = ours && now
      ? compareRelativePositions(before.anchor, now.anchor) && compareRelativePositions(before.head, now.head)
      : !ours && !now
    if (!same) awareness?.setLocalStateField('cursor', now)
  }

  #draw({ state: { doc } }: EditorView): void {
    const ranges: Range<Decoration>[] = []
    for (const [client, state] of this.open.awareness?.getStates() ?? []) {
      const user = this.open.userOf(client)
      const [anchor, head] = [this.#place(state?.cursor?.anchor), this.#place(state?.cursor?.head)]
      if (user === undefined || anchor === null || head === null) continue
      const person = personOf(user, state)
      const [from, to] = [anchor, head].map(at => Math.min(at, doc.length)).sort((a, b) => a - b) as [number, number]
      const attributes = { style: `--hue: ${person.hue}` }
      if (to > from) ranges.push(Decoration.mark({ class: 'cm-theirs', attributes }).range(from, to))
      const side = head > anchor ? -1 : 1
      ranges.push(Decoration.widget({ widget: new Caret(person), side }).range(head > anchor ? to : from))
    }
    this.decorations = Decoration.set(ranges, true)
  }

  #place(position: unknown): number | null {
    if (typeof position !== 'object' || position === null) return null
    try {
      const at = createRelativePositionFromJSON(position)
      // Yjs makes the type that is named: others choose no names in our document.
      if (at.tname !== null && at.tname !== 'text') return null
      const found = createAbsolutePositionFromRelativePosition(at, this.text.doc!)
      return found?.type === this.text && Number.isInteger(found.index) && found.index >= 0 ? found.index : null
    } catch { // It is none.
      return null
    }
  }
}

export const cursors = (text: Text, open: Neighbours) => [
  ViewPlugin.define(view => new Cursors(view, text, open), { decorations: ({ decorations }) => decorations }),
  EditorView.theme({
    '.cm-theirs': { backgroundColor: 'oklch(65% .13 var(--hue) / .28)' },
    '.cm-caret': { position: 'relative', margin: '0 -1px', borderLeft: '2px solid oklch(var(--caret-l) .14 var(--hue))' },
    '.cm-caret-name': {
      position: 'absolute', left: '-2px', bottom: '100%', padding: '0 .3rem', borderRadius: '.3rem .3rem .3rem 0',
      fontFamily: 'var(--plain)', fontSize: '.6875rem', fontWeight: '600', lineHeight: '1.35', whiteSpace: 'nowrap', color: '#fff',
      backgroundColor: 'oklch(45% .11 var(--hue))', pointerEvents: 'none', userSelect: 'none', zIndex: '1',
    },
  }),
]
