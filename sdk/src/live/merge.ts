const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** JSON Merge Patch, RFC 7396. Neither argument is changed; a member called `__proto__` is one like others. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch
  const members = new Map<string, unknown>(isObject(target) ? Object.entries(target) : [])
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) members.delete(name)
    else members.set(name, mergePatch(members.get(name), value))
  }
  return Object.fromEntries(members)
}

/**
 * The one patch that does what `first` and then `second` do; `undefined` where there is none: a member that
 * `first` replaces and `second` changes inside can be said only in two steps.
 */
export function joinPatches(first: unknown, second: unknown): unknown {
  if (!isObject(second)) return second
  return isObject(first) && !Object.values(second).some(isObject) ? { ...first, ...second } : undefined
}
