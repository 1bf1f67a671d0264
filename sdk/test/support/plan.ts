// Ada's and bob's documents, for the tests of documents.
import { afterEach } from 'node:test'
import type * as Y from 'yjs'
import { openDocument, type DocumentOptions, type DocumentProvider } from '../../src/yjs/index.js'
import { PLAN, Server } from './documents.js'
import { settle } from './fake.js'

type World = Awaited<ReturnType<Server['join']>>
const opened: DocumentProvider[] = []
afterEach(() => opened.splice(0).forEach(one => one.destroy()))

export function open({ client }: { client: World['client'] }, options?: DocumentOptions): DocumentProvider {
  const one = openDocument(client, PLAN, options)
  opened.push(one)
  return one
}
export const text = (one: { doc: Y.Doc }): Y.Text => one.doc.getText('text')
export const type = (one: { doc: Y.Doc }, what: string): void => text(one).insert(text(one).length, what)
export const told = async (one: DocumentProvider): Promise<[string, boolean]> => {
  for (let turn = 0; turn < 4; turn++) await settle()
  return [one.status.current.state, one.unsaved.current]
}

/** Ada and bob have the plan open, which says `Plan`. */
export async function both() {
  const server = new Server()
  server.edit(doc => doc.getText('text').insert(0, 'Plan'))
  const [a, b] = [await server.join('ada'), await server.join('bob')]
  const [ada, bob] = [open(a), open(b)]
  await told(ada)
  await told(bob)
  return { server, a, b, ada, bob }
}
