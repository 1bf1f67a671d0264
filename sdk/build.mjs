// dist/: ES modules and types by tsc, and dist/tidings.js, one file for pages without a bundler.
// With --tests: .tests/, every test with what it imports, for node --test.
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { minify } from 'terser'

// Internal names, in no frame and no public type, that the one file may shorten. The file has a
// limit of 10 KiB; e2e/bundle.test.ts runs the result.
const INTERNAL = [
  // the state of the machine
  'phase', 'raw', 'failures', 'faults', 'refused', 'ask', 'expires_at', 'chosen_at', 'tries', 'proven', 'asleep',
  'heard', 'hidden', 'probed', 'retry_at', 'close_code',
  // an entry of the outbox and its lane
  'back', 'doubt', 'entries', 'flying', 'goBack', 'maxAge', 'next', 'number', 'producer', 'rename', 'saving', 'sent', 'seq',
  'trouble', 'until', 'use', 'used', 'view', 'writer',
  // what parts of the client call each other by
  'alive', 'answer', 'base', 'bytes', 'call', 'closed', 'commands', 'ended', 'failed', 'flight', 'goodbye', 'keep', 'last', 'left', 'link', 'lost', 'open', 'pump', 'ready', 'plugin', 'refusal',
  'room', 'snapshot', 'start', 'stop', 'sync', 'tell', 'terminal', 'timer', 'told', 'tooLarge', 'wanted', 'welcome',
]

/** The core, and what pages can have besides. */
const FILES = [['index.ts', 'tidings.js'], ['inbox/index.ts', 'tidings-inbox.js'], ['live/index.ts', 'tidings-live.js']]

// Of these, what the other files use of the core's objects; they may call their own members as the core calls its.
const SHARED = ['call', 'last', 'link', 'plugin', 'tell']

// `instanceof TidingsError` holds for theirs, too.
const ONE_ERROR = {
  name: 'one-error',
  setup: build => build.onResolve({ filter: /\/error\.js$/ }, () => ({ path: './tidings.js', external: true })),
}

const here = fileURLToPath(new URL('.', import.meta.url))
process.chdir(here)

const files = folder => existsSync(folder)
  ? readdirSync(folder, { recursive: true }).map(name => join(folder, name))
  : []

if (process.argv.includes('--tests')) {
  rmSync('.tests', { recursive: true, force: true })
  await build({
    entryPoints: files('test').filter(name => /\.test\.tsx?$/.test(name)),
    outdir: '.tests', outbase: 'test', outExtension: { '.js': '.mjs' },
    bundle: true, packages: 'external', platform: 'node', format: 'esm', target: 'node20',
    // Not test/tsconfig.json, whose paths are for types: examples/ get the package as it is published.
    tsconfigRaw: {}, jsx: 'automatic', sourcemap: 'inline', logLevel: 'warning',
  })
} else {
  rmSync('dist', { recursive: true, force: true })
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc')
  execFileSync(process.execPath, [tsc, '-p', '.'], { stdio: 'inherit' })
  // The files work with each other's objects, so what is shortened has the same names in all.
  let mangleCache = {}
  for (const [entry, file] of FILES) {
    const internal = entry === 'index.ts' ? INTERNAL : SHARED
    const { outputFiles: [out], mangleCache: names } = await build({
      entryPoints: [`src/${entry}`], bundle: true, minify: true, format: 'esm', target: 'es2022', legalComments: 'none',
      logLevel: 'warning', mangleProps: new RegExp(`^(${internal.join('|')})$`), mangleCache, write: false,
      plugins: entry === 'index.ts' ? [] : [ONE_ERROR],
    })
    mangleCache = names
    // It knows a few more tricks than esbuild does: 3 %.
    const { code } = await minify(out.text, { module: true, ecma: 2022, compress: { passes: 3, pure_getters: true } })
    writeFileSync(`dist/${file}`, code)
  }
}
