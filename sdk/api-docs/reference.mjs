// Writes the reference of the SDK in Markdown, out of its types and their comments, into the folder
// that is its argument. Fails for a public item without a comment. `cargo xtask gen` runs it.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const SDK = fileURLToPath(new URL('..', import.meta.url))
const PAGES = [
  { file: 'README.md', entry: 'index.ts', name: 'tidings' },
  { file: 'live.md', entry: 'live/index.ts', name: 'tidings/live' },
  { file: 'inbox.md', entry: 'inbox/index.ts', name: 'tidings/inbox' },
  { file: 'yjs.md', entry: 'yjs/index.ts', name: 'tidings/yjs' },
  { file: 'react.md', entry: 'react/index.ts', name: 'tidings/react' },
  { file: 'yjs-react.md', entry: 'yjs/react.ts', name: 'tidings/yjs/react' },
  { file: 'outbox-indexeddb.md', entry: 'outbox-indexeddb.ts', name: 'tidings/outbox-indexeddb' },
]
const INTRO = 'Generated from the types in `sdk/src` by `cargo xtask gen`: change the comments there, not this. '
  + 'Durations are in milliseconds, sizes in bytes of UTF-8, moments in milliseconds since 1970. What can be left out is '
  + 'marked with `?`. Everything is read-only, if it is not said otherwise.'

const config = ts.readConfigFile(join(SDK, 'tsconfig.json'), ts.sys.readFile).config
const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, SDK)
const program = ts.createProgram(PAGES.map(({ entry }) => join(SDK, 'src', entry)), { ...options, noEmit: true })
const checker = program.getTypeChecker()
const printer = ts.createPrinter({ removeComments: true })
const faults = []

/** Where each public name is described. */
const places = new Map()
const pages = PAGES.map(page => {
  const source = program.getSourceFile(join(SDK, 'src', page.entry))
  const symbols = checker.getExportsOfModule(checker.getSymbolAtLocation(source))
    .map(symbol => symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol)
  for (const { name } of symbols) places.set(name, { file: page.file, anchor: name.toLowerCase() })
  return { ...page, items: symbols.map(symbol => symbol.declarations[0]).sort(inOrder) }
})

/** What is called, then what is thrown, then the rest, as in the source. */
function inOrder(a, b) {
  const rank = node => ts.isFunctionDeclaration(node) ? 0 : ts.isClassDeclaration(node) ? 1 : 2
  return rank(a) - rank(b) || a.getSourceFile().fileName.localeCompare(b.getSourceFile().fileName) || a.pos - b.pos
}

/** A comment as it was written. */
const said = node => ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc)
  .map(block => ts.getTextOfJSDocComment(block.comment) ?? '').join('\n\n').trim()

/** The same; it must be there, unless the item stands on the line of its parent, which then has one. */
function comment(node, path) {
  const text = said(node)
  const { line } = ts.getLineAndCharacterOfPosition(node.getSourceFile(), node.getStart())
  const above = ts.getLineAndCharacterOfPosition(node.getSourceFile(), node.parent.getStart()).line
  if (!text && (line !== above || ts.isSourceFile(node.parent))) faults.push(`${path}: no comment`)
  return text
}

/** Code on one line, as a reader wants it. */
const short = code => code.replace(/\s+/g, ' ').replace(/\breadonly /g, '').replace(/; \}/g, ' }').replace(/^\| /, '')
const print = node => printer.printNode(ts.EmitHint.Unspecified, node, node.getSourceFile())
function typeOf(node) {
  const code = node.type ? short(print(node.type)) : checker.typeToString(checker.getTypeAtLocation(node))
  return node.questionToken ? code.replace(/ \| undefined$/, '') : code
}

/** A type for a table, in which the names of other items are links. */
function linked(code, file) {
  const safe = code.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/\|/g, '&#124;')
  const html = safe.replace(/(?<!["'])\b[A-Z]\w+\b/g, name => {
    const place = places.get(name)
    return place ? `<a href="${place.file === file ? '' : place.file}#${place.anchor}">${name}</a>` : name
  })
  return `<code>${html}</code>`
}

const cell = text => text.replace(/\s*\n\s*/g, ' ').replace(/\|/g, '\\|')
const isMethod = node => ts.isMethodSignature(node) || ts.isMethodDeclaration(node)
/** A method that has more to say than fits into a row, or makes something. */
const isLong = node => ts.isConstructorDeclaration(node) || (isMethod(node) && said(node).length > 200)
const isHidden = node => !!node.name && ts.isPrivateIdentifier(node.name)

/** Members, those of objects inside them too. */
function rows(members, file, path, prefix = '') {
  return members.filter(node => !isLong(node) && !isHidden(node)).flatMap(node => {
    const name = `${prefix}${node.name.getText()}`
    if (isMethod(node)) return [`| \`${name}()\` | ${linked(call(node), file)} | ${cell(comment(node, `${path}.${name}`))} |`]
    const inner = node.type && ts.isUnionTypeNode(node.type) ? node.type.types.find(ts.isTypeLiteralNode) : undefined
    const text = cell(comment(node, `${path}.${name}`))
    const type = inner ? '<code>object</code>' : linked(typeOf(node), file)
    const row = `| \`${name}${node.questionToken ? '?' : ''}\` | ${type} | ${text} |`
    return [row, ...inner ? rows(inner.members, file, path, `${name}.`) : []]
  })
}

function table(members, file, path) {
  const lines = rows(members, file, path)
  return lines.length ? ['| member | type | meaning |\n| --- | --- | --- |\n' + lines.join('\n')] : []
}

const fenced = code => '```ts\n' + code + '\n```'

/** What is behind the name of a function. */
function call(node) {
  const generic = node.typeParameters?.map(one => short(print(one))).join(', ')
  const given = node.parameters.map(({ name, type, questionToken, initializer }) =>
    `${ts.isIdentifier(name) ? name.text : 'details'}${questionToken || initializer ? '?' : ''}: ${short(print(type))}`)
  const result = node.type ? `: ${short(print(node.type))}` : ''
  return `${generic ? `<${generic}>` : ''}(${given.join(', ')})${result}`
}

/** A type as it was written, with the comments inside. */
const written = node => node.getText().replace(/^export /, '').replace(/\breadonly /g, '')

/** The parameters and the result that are items of their own. */
function uses(node, file) {
  const names = [...new Set([...node.parameters, node.type].filter(Boolean).flatMap(part => print(part).match(/\b[A-Z]\w+\b/g) ?? []))]
  const known = names.filter(name => places.has(name)).map(name => linked(name, file))
  return known.length ? [`See ${known.join(', ')}.`] : []
}

function item(node, file) {
  const name = node.name.text
  const out = [`## ${name}`]
  if (ts.isFunctionDeclaration(node)) {
    out.push(fenced(`function ${name}${call(node)}`), comment(node, name), ...uses(node, file))
  } else if (ts.isTypeAliasDeclaration(node)) {
    out.push(comment(node, name), fenced(written(node)))
  } else {
    const parameters = node.typeParameters?.map(one => short(print(one))).join(', ')
    const parents = node.heritageClauses?.map(clause => ` ${short(print(clause)).trim()}`).join('') ?? ''
    const kind = ts.isClassDeclaration(node) ? 'class' : 'interface'
    out.push(comment(node, name), `<code>${kind} ${name}${parameters ? `&lt;${parameters}&gt;` : ''}${parents}</code>`)
    out.push(...table([...node.members], file, name))
    for (const member of node.members.filter(isLong)) {
      const [title, code] = ts.isConstructorDeclaration(member)
        ? [`new ${name}`, `new ${name}${call(member)}`]
        : [`${name}.${member.name.text}`, `${member.name.text}${call(member)}`]
      out.push(`### ${title}`, fenced(code), comment(member, title), ...uses(member, file))
    }
  }
  return out.join('\n\n')
}

const [out] = process.argv.slice(2)
mkdirSync(out, { recursive: true })
for (const { file, name, items } of pages) {
  const others = PAGES.filter(page => page.file !== file).map(page => `[\`${page.name}\`](${page.file})`).join(' · ')
  const contents = items.map(node => `[${node.name.text}](#${node.name.text.toLowerCase()})`).join(' · ')
  const text = [`# API: \`${name}\``, INTRO, `Other entries: ${others}. How it is used: [the guide](../README.md).`, contents,
    ...items.map(node => item(node, file))]
  writeFileSync(join(out, file), text.join('\n\n') + '\n')
}
if (faults.length) {
  console.error(`public, and not described:\n${faults.join('\n')}`)
  process.exitCode = 1
}
