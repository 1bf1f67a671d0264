// Waiting for what must happen: a story goes on as soon as it does.
import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'

export const PATIENCE_MS = 45_000

/** Asks until the answer is right; says what the last one was if it never is. */
export async function until(what, ask, right, patience = PATIENCE_MS) {
  const end = Date.now() + patience
  for (;;) {
    const answer = await ask()
    if (right(answer)) return answer
    if (Date.now() > end) assert.fail(`never: ${what}; at last: ${JSON.stringify(answer)}`)
    await pause(50)
  }
}
