// Builds the chat demo, the document and the console into web/dist: what the server embeds and serves at /,
// /document and /console.
import { access, copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'

const web = fileURLToPath(new URL('.', import.meta.url))
const sdk = join(web, '../sdk')
const dist = join(web, 'dist')

await mkdir(dist, { recursive: true })

// Of the build before: their names are of what is in them.
for (const name of await parts()) await rm(join(dist, name))

const settings = {
  outdir: dist,
  bundle: true,
  minify: true,
  format: 'esm',
  target: ['es2022', 'chrome111', 'firefox113', 'safari16.4'],
  jsx: 'automatic',
  define: { 'process.env.NODE_ENV': '"production"' },
  legalComments: 'none',
  // The SDK from its sources, so that it need not be published first; and one React and one Yjs for both.
  alias: {
    'tidings/inbox': join(sdk, 'src/inbox/index.ts'),
    'tidings/live': join(sdk, 'src/live/index.ts'),
    'tidings/react': join(sdk, 'src/react/index.ts'),
    'tidings/outbox-indexeddb': join(sdk, 'src/outbox-indexeddb.ts'),
    'tidings/yjs/react': join(sdk, 'src/yjs/react.ts'),
    'tidings/yjs': join(sdk, 'src/yjs/index.ts'),
    tidings: join(sdk, 'src/index.ts'),
    react: join(web, 'node_modules/react'),
    yjs: join(web, 'node_modules/yjs'),
    'y-protocols': join(web, 'node_modules/y-protocols'),
  },
}
await build({ ...settings, entryPoints: { chat: join(web, 'src/main.tsx'), console: join(web, 'src/console/main.tsx') } })
// In parts: what a page loads only when somebody asks for it, and what that shares with the page.
const { metafile } = await build({
  ...settings, entryPoints: { document: join(web, 'src/document/main.tsx') }, splitting: true, chunkNames: 'document-[name]-[hash]', metafile: true,
})
await copyFile(join(web, 'src/index.html'), join(dist, 'index.html'))
await writeFile(join(dist, 'document.html'), preloading(await readFile(join(web, 'src/document/index.html'), 'utf8')))
await copyFile(join(web, 'src/console/index.html'), join(dist, 'console.html'))

const SDK = ['tidings.js', 'tidings-inbox.js', 'tidings-live.js']
for (const name of SDK) {
  const bundle = join(sdk, 'dist', name)
  await access(bundle).catch(() => {
    throw new Error(`${bundle} is missing; build the SDK first: cd sdk && npm ci && npm run build`)
  })
  await copyFile(bundle, join(dist, name))
}

/** The scripts that the document's own is divided into. */
async function parts() {
  return (await readdir(dist)).filter(name => /^document-.*\.js$/.test(name)).sort()
}

/** The page, which asks for the parts that its script needs at once together with it. */
function preloading(html) {
  const [, { imports }] = Object.entries(metafile.outputs).find(([path]) => path.endsWith('/document.js'))
  const needed = imports.filter(({ kind }) => kind === 'import-statement')
  const links = needed.map(({ path }) => `<link rel="modulepreload" href="${basename(path)}">\n`)
  return html.replace('<script', `${links.join('')}<script`)
}

const FILES = ['index.html', 'chat.js', 'chat.css', 'document.html', 'document.js', 'document.css', 'console.html',
  'console.js', 'console.css', ...SDK, ...await parts()]
for (const file of FILES) {
  const bytes = await readFile(join(dist, file))
  console.log(`${file.padEnd(30)} ${bytes.length} bytes, ${gzipSync(bytes, { level: 9 }).length} gzip`)
}
