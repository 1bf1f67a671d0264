import { useLayoutEffect, useRef, type ReactNode } from 'react'

interface DialogProps {
  className: string
  label: string
  onClose: () => void
  children: ReactNode
}

/** A modal <dialog>: focus stays inside, Esc and a click beside it close it, focus goes back. */
export function Dialog({ className, label, onClose, children }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null)
  // Closed while it is still in the document: else the focus does not go back.
  useLayoutEffect(() => {
    const dialog = ref.current
    dialog?.showModal()
    return () => dialog?.close()
  }, [])
  return (
    <dialog ref={ref} className={className} aria-label={label}
      onCancel={event => { event.preventDefault(); onClose() }}
      onPointerDown={event => {
        if (event.target === ref.current && outside(event.currentTarget, event)) onClose()
      }}>
      {children}
    </dialog>
  )
}

function outside(element: Element, { clientX: x, clientY: y }: { clientX: number; clientY: number }) {
  const box = element.getBoundingClientRect()
  return x < box.left || x > box.right || y < box.top || y > box.bottom
}
