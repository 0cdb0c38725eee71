import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { cookieValue, tokenOf } from '../../src/web/token.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

const inNewDirectory = (): string => join(temporaryDirectory(), 'state')

it('the token of a state directory is made once, for nobody else to read, of at least 128 bits', () => {
  const stateDir = inNewDirectory()
  const token = tokenOf(stateDir)
  expect(Buffer.from(token, 'base64url').length).toBeGreaterThanOrEqual(16)
  expect(tokenOf(stateDir)).toBe(token)
  expect(tokenOf(inNewDirectory())).not.toBe(token)
  const path = join(stateDir, 'web-token')
  expect(lstatSync(path).mode & 0o777).toBe(0o600)
  expect(readFileSync(path, 'utf8')).toBe(`${token}\n`)
  expect(readdirSync(stateDir)).toEqual(['web-token'])
})

it('a token that others could have read or chosen is replaced', () => {
  const stateDir = inNewDirectory()
  const path = join(stateDir, 'web-token')
  let known = tokenOf(stateDir)
  const spoil: (() => void)[] = [
    () => chmodSync(path, 0o644),
    () => writeFileSync(path, 'guess me\n'),
    () => writeFileSync(path, ''),
  ]
  for (const how of spoil) {
    how()
    const token = tokenOf(stateDir)
    expect(token).not.toBe(known)
    expect(tokenOf(stateDir)).toBe(token)
    expect(lstatSync(path).mode & 0o777).toBe(0o600)
    known = token
  }
})

it('a link in its place is not followed', () => {
  const directory = temporaryDirectory()
  const elsewhere = join(directory, 'elsewhere')
  writeFileSync(elsewhere, `${'x'.repeat(32)}\n`, { mode: 0o600 })
  const stateDir = join(directory, 'state')
  mkdirSync(stateDir)
  symlinkSync(elsewhere, join(stateDir, 'web-token'))
  expect(tokenOf(stateDir)).not.toBe('x'.repeat(32))
  expect(readFileSync(elsewhere, 'utf8')).toBe(`${'x'.repeat(32)}\n`)
})

it('where nothing can be written there is one all the same', () => {
  expect(tokenOf('/proc/no/such/place')).toMatch(/^[\w-]{32}$/)
})

it('the cookie does not tell the token, and is another one for each port', () => {
  const values = [cookieValue('token', 1), cookieValue('token', 2), cookieValue('nekot', 1)]
  expect(new Set(values).size).toBe(3)
  expect(values.join(' ')).not.toContain('token')
})
