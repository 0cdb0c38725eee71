import { chmodSync, mkdirSync, realpathSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { isThere, leaveDeleted, makeDirectory } from '../../src/journal/directory.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

describe('a directory', () => {
  it('is made with those above it, for its owner only', () => {
    const directory = temporaryDirectory()
    const path = join(directory, 'a/b/c')
    makeDirectory(path)
    for (const made of ['a', 'a/b', 'a/b/c']) {
      const { mode } = statSync(join(directory, made))
      expect((mode & 0o777).toString(8)).toBe('700')
    }
  })

  it('that is there stays as it is', () => {
    const path = join(temporaryDirectory(), 'a')
    mkdirSync(path)
    chmodSync(path, 0o755)
    makeDirectory(path)
    expect((statSync(path).mode & 0o777).toString(8)).toBe('755')
  })

  it('cannot be made where a file stands in its way, which is named', () => {
    const file = join(temporaryDirectory(), 'a')
    writeFileSync(file, '')
    for (const path of [file, join(file, 'b')])
      expect(() => makeDirectory(path)).toThrow(new Error(`${file} is a file, not a directory`))
  })

  it('that the system refuses is told in its words, and not tried for ever', () => {
    expect(() => makeDirectory('/proc/spanbridge/state')).toThrow(/^ENOENT: .*mkdir '\/proc\/spanbridge'$/)
  })

  it('whose name was free a moment ago and is taken now is left to whoever took it', () => {
    const directory = temporaryDirectory()
    const link = join(directory, 'link')
    // Not there for whoever looks, and in the way of whoever makes it.
    symlinkSync(join(directory, 'nowhere'), link)
    makeDirectory(link)
    expect(isThere(link)).toBe(false)
  })
})

describe('the working directory', () => {
  it('that is there is kept, and one that has been deleted is left for the top of all', () => {
    const before = process.cwd()
    onTestFinished(() => process.chdir(before))
    const directory = realpathSync(temporaryDirectory())
    process.chdir(directory)
    leaveDeleted()
    expect(process.cwd()).toBe(directory)
    rmSync(directory, { recursive: true })
    leaveDeleted()
    expect(process.cwd()).toBe('/')
  })
})
