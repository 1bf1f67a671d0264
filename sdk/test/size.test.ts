// What a page has to load, and what the package is made of.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { build, type PluginBuild } from 'esbuild'
import { minify } from 'terser'
import { fromSdk } from './support/paths.js'

test('the core, with all three transports, is at most 10 KiB (gzip)', t => {
  const file = readFileSync(fromSdk('dist/tidings.js'))
  const size = gzipSync(file, { level: 9 }).length
  t.diagnostic(`dist/tidings.js: ${file.length} bytes, ${size} with gzip -9`)
  assert.ok(size <= 10_240, `${size} bytes`)
})

test('tidings/yjs is at most 4,352 bytes (gzip) on top of the core and of yjs, its hooks 1,024 more on top of tidings/react', async t => {
  const sizeOf = async (entry: string, outside: RegExp): Promise<number> => {
    const plugin = { name: 'outside', setup: (build: PluginBuild) => build.onResolve({ filter: outside }, () => ({ external: true })) }
    const { outputFiles: [out] } = await build({
      entryPoints: [fromSdk(`src/yjs/${entry}.ts`)], bundle: true, minify: true, format: 'esm', target: 'es2022', write: false,
      plugins: [plugin], logLevel: 'silent',
    })
    return gzipSync(out!.contents, { level: 9 }).length
  }
  const size = await sizeOf('index', /^\.\.\/|^yjs$|^y-protocols\//)
  const hooks = await sizeOf('react', /^\.\.\/|^react$|^\.\/index/)
  t.diagnostic(`tidings/yjs: ${size} bytes with gzip -9; tidings/yjs/react: ${hooks}`)
  assert.ok(size <= 4352, `${size} bytes`)
  assert.ok(hooks <= 1024, `${hooks} bytes`)
})

for (const name of ['inbox', 'live']) {
  test(`tidings/${name} is at most 3,100 bytes (gzip) on top of the core`, async t => {
    const core = { name: 'core', setup: (build: PluginBuild) => build.onResolve({ filter: /^\.\.\// }, () => ({ external: true })) }
    const { outputFiles: [out] } = await build({
      entryPoints: [fromSdk(`src/${name}/index.ts`)], bundle: true, minify: true, format: 'esm', target: 'es2022', write: false,
      plugins: [core], logLevel: 'silent',
    })
    // As the core is.
    const { code } = await minify(out!.text, { module: true, ecma: 2020, compress: { passes: 3, pure_getters: true } })
    const size = gzipSync(code!, { level: 9 }).length
    const whole = gzipSync(readFileSync(fromSdk(`dist/tidings-${name}.js`)), { level: 9 }).length
    t.diagnostic(`tidings/${name}: ${size} bytes with gzip -9; dist/tidings-${name}.js, with what it has of the core: ${whole}`)
    assert.ok(size <= 3100, `${size} bytes`)
  })
}

/** What an entry of its own may ask for. */
const PEERS = /^(yjs|y-protocols\/awareness)$/

test('the core imports nothing but itself, and no file is longer than 300 lines', () => {
  for (const name of readdirSync(fromSdk('src'), { recursive: true }) as string[]) {
    if (!name.endsWith('.ts') || name.startsWith('react')) continue
    const text = readFileSync(fromSdk(`src/${name}`), 'utf8')
    for (const [, from] of text.matchAll(/^(?:import|export)[^'"\n]* from '([^']+)'/gm)) {
      const allowed = name.startsWith('yjs') && (PEERS.test(from!) || (from === 'react' && name === 'yjs/react.ts'))
      if (!allowed) assert.match(from!, /^\.\.?\//, name)
    }
    assert.ok(text.split('\n').length <= 301, `${name}: ${text.split('\n').length} lines`)
  }
})

test('every entry of package.json is there', () => {
  const { exports } = JSON.parse(readFileSync(fromSdk('package.json'), 'utf8'))
  for (const entry of Object.values<any>(exports)) {
    for (const path of typeof entry === 'string' ? [entry] : Object.values<string>(entry)) readFileSync(fromSdk(path))
  }
})
