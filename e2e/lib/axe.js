// What a machine can find of WCAG 2.2 AA, on the page as it is now.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const SOURCE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']

/** Fails with what is wrong and where. */
export async function isAccessible(page, what) {
  await page.evaluate(SOURCE)
  const found = await page.evaluate(async tags => {
    // Colours are looked at when they have arrived.
    const ends = document.getAnimations().filter(({ effect }) => effect.getComputedTiming().endTime !== Infinity)
    await Promise.all(ends.map(({ finished }) => finished.catch(() => {})))
    const { violations } = await window.axe.run(document, { runOnly: { type: 'tag', values: tags } })
    return violations.map(({ id, help, nodes }) => ({
      id, help, nodes: nodes.slice(0, 5).map(({ html, failureSummary }) => `${html.slice(0, 160)} ${failureSummary}`),
    }))
  }, TAGS)
  assert.deepEqual(found, [], what)
}
