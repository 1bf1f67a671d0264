// The API key: of this tab only, and never in an address.
import { recall, remember } from '../settings.ts'
import { problemOf, reach, readProblem, type Problem } from './api.ts'

const NAME = 'console.key'

export const rememberedKey = () => recall('session', NAME)
export const rememberKey = (key: string | null) => remember('session', NAME, key)

/** A server for development hands its key to a page of its own machine; every other says 404. */
export async function offeredKey(): Promise<string | null> {
  try {
    const answer = await reach('/console/key')
    if (!answer.ok) return null
    const { key } = await answer.json() as { key?: unknown }
    return typeof key === 'string' ? key : null
  } catch {
    return null
  }
}

/** `undefined`: it is a key, whatever it is for. */
export async function refusalOf(key: string): Promise<Problem | undefined> {
  if (!/^[\x21-\x7e]+$/.test(key)) {
    const detail = 'a key has printable ASCII characters only, and no white space'
    return { title: 'This is not a key', status: 0, detail }
  }
  try {
    const answer = await reach('/api/v1/info', { headers: { authorization: `Bearer ${key}` } })
    // 403: a key that is not for `info`; it may be for other things.
    return answer.ok || answer.status === 403 ? undefined : await readProblem(answer)
  } catch (error) {
    return problemOf(error)
  }
}

/** Whether the server has a key at all: without one, its API says 404. */
export async function hasKeys(): Promise<boolean> {
  try {
    return (await reach('/api/v1/info')).status !== 404
  } catch {
    return true
  }
}
