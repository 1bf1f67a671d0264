import { useEffect, useState, type ComponentType, type ReactNode } from 'react'
import { useConnection } from 'tidings/react'

interface PartProps<P extends object> {
  /** Fetches its script; the same function each time. */
  load: () => Promise<{ default: ComponentType<P> }>
  props: P
  /** In its place, as long as it is not there. */
  meanwhile: (failed: boolean) => ReactNode
}

/**
 * A part of the page whose script is fetched when it is shown. Without a connection that fails: it is tried again with the
 * next one, and the rest of the page goes on.
 */
export function Part<P extends object>({ load, props, meanwhile }: PartProps<P>) {
  const [Loaded, setLoaded] = useState<ComponentType<P> | null>(null)
  const [failed, setFailed] = useState(false)
  const connected = useConnection().state === 'connected'
  useEffect(() => {
    let wanted = true
    load().then(
      ({ default: loaded }) => { if (wanted) setLoaded(() => loaded) },
      () => { if (wanted) setFailed(true) },
    )
    return () => { wanted = false }
  }, [load, connected])
  return Loaded ? <Loaded {...props} /> : meanwhile(failed)
}

/** For people, in its place. */
export const Missing = ({ failed }: { failed: boolean }) =>
  <p className="none" role="status">{failed ? 'It cannot be loaded now. It is tried again when there is a connection.' : 'Loading…'}</p>
