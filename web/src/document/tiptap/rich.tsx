// Tiptap, with its own extensions for documents that several write.
import { Editor } from '@tiptap/core'
import Collaboration from '@tiptap/extension-collaboration'
import CollaborationCaret from '@tiptap/extension-collaboration-caret'
import StarterKit from '@tiptap/starter-kit'
import { useEffect, useRef, useState } from 'react'
import { NOTES } from '../plan.ts'
import { renderCaret, renderSelection } from './carets.ts'
import type { Line } from './line.ts'

const make = (element: HTMLElement, { doc, provider }: Line, name: string): Editor => new Editor({
  element,
  // As elements the page's Content-Security-Policy forbids them: they are in the style sheet.
  injectCSS: false,
  extensions: [
    // Undoing is Collaboration's: of what one has done oneself.
    StarterKit.configure({ undoRedo: false, link: false }),
    Collaboration.configure({ document: doc, field: NOTES }),
    CollaborationCaret.configure({ provider, user: { name }, render: renderCaret, selectionRender: renderSelection }),
  ],
  editorProps: { attributes: { 'aria-label': 'Notes in Tiptap', 'aria-multiline': 'true', role: 'textbox', spellcheck: 'true' } },
})

const TOOLS: readonly [label: string, sign: string, mark: string, run: (editor: Editor) => void][] = [
  ['Bold', 'B', 'bold', editor => editor.chain().focus().toggleBold().run()],
  ['Italic', 'I', 'italic', editor => editor.chain().focus().toggleItalic().run()],
  ['Heading', 'H', 'heading', editor => editor.chain().focus().toggleHeading({ level: 3 }).run()],
  ['List', '•', 'bulletList', editor => editor.chain().focus().toggleBulletList().run()],
]

export function Rich({ line, name, writable }: { line: Line; name: string; writable: boolean }) {
  const box = useRef<HTMLDivElement>(null)
  const [editor, setEditor] = useState<Editor | null>(null)
  const [, again] = useState(0)

  useEffect(() => {
    const made = make(box.current!, line, name)
    const changed = () => again(times => times + 1)
    made.on('transaction', changed)
    setEditor(made)
    return () => {
      setEditor(null)
      made.destroy()
    }
    // With another name it is not made again.
  }, [line])
  useEffect(() => { editor?.commands.updateUser({ name }) }, [editor, name])
  useEffect(() => editor?.setEditable(writable, false), [editor, writable])

  return (
    <div className="rich">
      <div className="tools" role="group" aria-label="Format">
        {TOOLS.map(([label, sign, mark, run]) => (
          <button key={mark} className="icon-button" aria-label={label} title={label} data-mark={mark} disabled={!writable}
            aria-pressed={editor?.isActive(mark) ?? false}
            // Whoever clicks goes on typing where they were.
            onMouseDown={event => event.preventDefault()} onClick={() => editor && run(editor)}>
            {sign}
          </button>
        ))}
      </div>
      <div ref={box} className="rich-text" />
    </div>
  )
}
