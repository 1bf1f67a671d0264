import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'

const LIMIT_BYTES = 2688

test(`tidings/react is at most ${LIMIT_BYTES} bytes, and asks for nothing but react and, for their hooks, the other entries`, async () => {
  // Built tests lie one folder below the package, as the sources do.
  const entry = fileURLToPath(new URL('../src/react/index.ts', import.meta.url))
  const result = await build({ entryPoints: [entry], bundle: true, minify: true, format: 'esm',
    target: 'es2022', external: ['react', '../live/index.js', '../inbox/index.js'], write: false, metafile: true, logLevel: 'silent' })
  const { length } = gzipSync(result.outputFiles[0]!.contents, { level: 9 })
  assert.ok(length <= LIMIT_BYTES, `${length} bytes`)
  const outside = Object.keys(result.metafile.inputs).filter(path => !/src\/react\//.test(path))
  assert.deepEqual(outside, [], 'nothing of the core is in it')
})
