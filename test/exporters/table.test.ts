import { readdirSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

const folder = new URL('../../src/exporters/', import.meta.url)

it('the table of exporters has a line for every folder and no other', () => {
  const folders = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
  const table = readFileSync(new URL('index.ts', folder), 'utf8')
  const lines = [...table.matchAll(/^ {2}(\w+): \{ isConfigured/gm)].map(([, name]) => name)
  expect(new Set(lines)).toEqual(new Set(folders))
})
