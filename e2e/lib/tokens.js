// Servers that want to know who comes, and what one shows them.
import { createHmac } from 'node:crypto'

const SECRET = 'a secret for tests, at least 32 bytes long'

/** The table of the key that tokens are signed with. */
export const KEY = `[[auth.key]]
algorithm = "HS256"
secret = "${SECRET}"`

/** A configuration where people sign in; tokens end on the second. */
export const SIGNED_IN = `
[auth]
anonymous = false
leeway = "0s"
${KEY}
[limits]
expiry_warning = "1s"
[namespace.chat]
subscribe = "signed-in"
publish = "signed-in"
history = { size = 10000, durable = true }
presence = { access = "signed-in" }
`

/** The same, where one need not sign in. */
export const OPEN = `
[auth]
anonymous = true
${KEY}
[namespace.chat]
subscribe = "anyone"
publish = "anyone"
history = { size = 10000, durable = true }
presence = { access = "anyone" }
`

/** `channels`: what it grants, by pattern. */
export function token(sub, seconds = 3600, channels = undefined) {
  const part = value => Buffer.from(JSON.stringify(value)).toString('base64url')
  const now = Math.floor(Date.now() / 1000)
  const body = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub, iat: now, exp: now + seconds, channels })}`
  return `${body}.${createHmac('sha256', SECRET).update(body).digest('base64url')}`
}
