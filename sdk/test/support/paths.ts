import { resolve } from 'node:path'

/** A path relative to sdk/, where `npm test` runs. */
export const fromSdk = (path: string): string => resolve(process.cwd(), path)
