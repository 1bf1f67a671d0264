import { TidingsError } from '../error.js'
import type { Command, Frame } from '../wire/frames.js'
import type { InboxPush, PushRegistration } from './types.js'

const ready = async (): Promise<PushRegistration> => globalThis.navigator.serviceWorker.ready

export const pushOf = (read: (command: Command) => Promise<Frame>): InboxPush => ({
  async subscribe(registration) {
    const { pushManager } = registration ?? await ready()
    const { push_key } = await read({ type: 'inbox', limit: 1 })
    if (!push_key) throw new TidingsError('not_found', 'no key for Web Push')
    const made = await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: push_key })
    const { endpoint, keys } = made.toJSON()
    await read({ type: 'push_subscribe', subscription: { endpoint, keys } })
  },
  async unsubscribe(registration) {
    const { pushManager } = registration ?? await ready()
    const subscription = await pushManager.getSubscription()
    if (!subscription) return
    await read({ type: 'push_unsubscribe', endpoint: subscription.endpoint })
    await subscription.unsubscribe()
  },
})
