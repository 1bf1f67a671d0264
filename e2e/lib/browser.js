// The browser that all stories are told in.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium'
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
  // A page that a test serves is from no address, so localhost would be foreign to it.
  '--disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets']

function existing() {
  if (existsSync(CHROMIUM)) return CHROMIUM
  throw new Error(`${CHROMIUM} is missing; install it with: apt-get install chromium`)
}

export const launch = async () => chromium.launch({ executablePath: existing(), headless: true, args: FLAGS })

/**
 * A browser whose pages can be hidden and frozen: to pages in a browser that it has launched, playwright
 * says that they are looked at, always. It has one profile, `context`.
 */
export async function launchBare() {
  const profile = mkdtempSync(join(tmpdir(), 'tidings-chromium-'))
  const child = spawn(existing(), [...FLAGS, '--headless=new', '--remote-debugging-port=0', `--user-data-dir=${profile}`,
    'about:blank'], { stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = once(child, 'exit')
  // Also when the tests are interrupted.
  const kill = () => child.kill('SIGKILL')
  process.on('exit', kill)
  const address = await addressOf(child)
  const browser = await chromium.connectOverCDP(address, { noDefaults: true })
  return {
    context: browser.contexts()[0],
    async close() {
      const cdp = await browser.newBrowserCDPSession()
      await cdp.send('Browser.close').catch(() => {})   // it may be gone before it can answer
      await ended
      process.off('exit', kill)
      await rm(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
    },
  }
}

function addressOf(child) {
  return new Promise((resolve, reject) => {
    let said = ''
    child.stderr.setEncoding('utf8').on('data', chunk => {
      said = (said + chunk).slice(-20_000)
      const [, address] = said.match(/DevTools listening on (\S+)/) ?? []
      if (address) resolve(address)
    })
    child.on('error', reject)
    child.on('exit', code => reject(new Error(`${CHROMIUM} ended (${code}); it said:\n${said}`)))
  })
}
