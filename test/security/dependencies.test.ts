import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

interface Locked {
  version?: string
  resolved?: string
  integrity?: string
}

const read = (path: string): unknown => JSON.parse(readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8'))
const { packages } = read('package-lock.json') as { packages: Record<string, Locked> }
const manifest = read('package.json') as Record<string, Record<string, unknown>>

/** Where no address stands, it is that of the registry that the user has set. */
const REGISTRY = 'https://registry.npmjs.org/'

it('every package is pinned by version and hash, and comes from a registry', () => {
  const { '': root, ...installed } = packages
  expect(root).toMatchObject({ dependencies: manifest['dependencies'], devDependencies: manifest['devDependencies'] })
  const loose = Object.entries(installed).filter(
    ([, { version, resolved = REGISTRY, integrity = '' }]) =>
      version === undefined || !integrity.startsWith('sha512-') || !resolved.startsWith(REGISTRY),
  )
  expect(loose.map(([path]) => path)).toEqual([])
})

it('no package but node runs a script when it is installed', () => {
  const allowed = Object.entries(manifest['allowScripts']!).filter(([, isAllowed]) => isAllowed === true)
  expect(allowed.map(([name]) => name)).toEqual(['node'])
})
