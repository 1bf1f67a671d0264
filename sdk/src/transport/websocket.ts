import type { Opening, Transport } from './transport.js'

/** Frames are text messages; the token goes in `hello`, never into the URL, which is logged. */
export function openWebSocket(opening: Opening): Transport {
  const socket = new opening.runtime.WebSocket!(`${opening.url.replace(/^http/, 'ws')}/socket`, 'tidings.v1')
  const detach = (): void => {
    socket.onopen = socket.onmessage = socket.onclose = null
  }
  socket.onopen = () => opening.flight().forEach(frame => socket.send(frame))
  socket.onmessage = ({ data }) => opening.frame(data)
  socket.onclose = ({ code, reason }) => {
    detach()
    opening.closed(code, reason)
  }
  // What failed, browsers do not say; `close` follows. Without a handler `ws` would throw.
  socket.onerror = () => {}
  return {
    send: frame => socket.send(frame),
    close() {
      detach()
      socket.close(1000)
    },
  }
}
