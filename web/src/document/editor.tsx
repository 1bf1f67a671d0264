import { defaultKeymap } from '@codemirror/commands'
import { Compartment, EditorState, Prec } from '@codemirror/state'
import { EditorView, keymap, placeholder } from '@codemirror/view'
import { useEffect, useRef } from 'react'
import { yCollab, yUndoManagerKeymap } from 'y-codemirror.next'
import { UndoManager, type Text } from 'yjs'
import { cursors } from './cursors.ts'
import type { Neighbours } from './who.ts'

const THEME = EditorView.theme({
  '&': { height: '100%', color: 'var(--ink)', fontSize: '1rem' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'var(--plain)', lineHeight: '1.7', overflow: 'auto' },
  // Room for the name above a cursor in the first line.
  '.cm-content': { padding: '1.75rem var(--gutter) 3rem', caretColor: 'var(--accent)', maxWidth: '52rem' },
  '.cm-line': { padding: '0' },
  '.cm-placeholder': { color: 'var(--soft)' },
})

const refused = ({ state }: EditorView) => state.readOnly
/** Of the keys and of the menu: undoing changes the document, not the editor, which would let nothing through. */
const READ_ONLY = Prec.highest([
  keymap.of(['Mod-z', 'Mod-y', 'Mod-Shift-z'].map(key => ({ key, run: refused, preventDefault: true }))),
  EditorView.domEventHandlers({ beforeinput: ({ inputType }, view) => inputType.startsWith('history') && refused(view) }),
])

/** Positions are counted in the document's text, where a carriage return is a letter like others. */
const LINES = [
  EditorState.lineSeparator.of('\n'), EditorView.clipboardInputFilter.of(text => text.replace(/\r\n?/g, '\n')),
]

interface EditorProps { text: Text; open: Neighbours; writable: boolean; label: string }

/**
 * CodeMirror, in a shadow tree: there it adds its styles as style sheets, elsewhere as elements, which the page's
 * Content-Security-Policy forbids.
 */
export function Editor({ text, open, writable, label }: EditorProps) {
  const box = useRef<HTMLDivElement>(null)
  const editor = useRef<{ view: EditorView; lock: Compartment } | null>(null)
  const may = useRef(writable)
  may.current = writable

  useEffect(() => {
    const root = box.current!.shadowRoot ?? box.current!.attachShadow({ mode: 'open' })
    const lock = new Compartment()
    const undoManager = new UndoManager(text)
    const view = new EditorView({
      root, parent: root,
      state: EditorState.create({
        doc: text.toString(),
        extensions: [
          lock.of(EditorState.readOnly.of(!may.current)),
          READ_ONLY, LINES, keymap.of([...yUndoManagerKeymap, ...defaultKeymap]),
          yCollab(text, null, { undoManager }), cursors(text, open),
          EditorView.lineWrapping, THEME, placeholder('Write something. Everybody here sees it as you type.'),
          EditorView.contentAttributes.of({ 'aria-label': label, spellcheck: 'true' }),
        ],
      }),
    })
    editor.current = { view, lock }
    return () => {
      editor.current = null
      view.destroy()
      undoManager.destroy()
    }
  }, [text, open, label])

  useEffect(() => {
    const { view, lock } = editor.current ?? {}
    view?.dispatch({ effects: lock!.reconfigure(EditorState.readOnly.of(!writable)) })
  }, [writable])

  return <div ref={box} className="editor" />
}
