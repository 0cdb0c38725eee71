import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createPrivate, isBusy, isLocked, JournalLock } from '../../src/journal/lock.ts'
import { openFiles } from '../support/open-files.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

/** What `body` throws. */
function errorOf(body: () => unknown): unknown {
  try {
    body()
  } catch (error) {
    return error
  }
  return expect.unreachable('nothing was thrown')
}

describe('the lock of a journal', () => {
  it('is had by one, refused to others as busy, had again once it is released, and leaves no file open', () => {
    const directory = temporaryDirectory()
    const path = join(directory, 'x.lock')
    const lock = new JournalLock(path)
    expect(isLocked(path)).toBe(true)
    expect(isBusy(errorOf(() => new JournalLock(path, 0)))).toBe(true)
    lock.release()
    expect(isLocked(path)).toBe(false)
    expect(openFiles(directory)).toEqual([])
    new JournalLock(path, 0).release()
    expect(openFiles(directory)).toEqual([])
  })

  it('is waited for as long as patience says', () => {
    const path = join(temporaryDirectory(), 'x.lock')
    const lock = new JournalLock(path)
    const from = performance.now()
    expect(isBusy(errorOf(() => new JournalLock(path, 60)))).toBe(true)
    expect(performance.now() - from).toBeGreaterThan(50)
    lock.release()
  })

  it('lies in a file that nobody else may read', () => {
    const path = join(temporaryDirectory(), 'x.lock')
    new JournalLock(path).release()
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  it('that nobody has made is held by nobody, and looking makes no file', () => {
    const path = join(temporaryDirectory(), 'x.lock')
    expect([isLocked(path), existsSync(path)]).toEqual([false, false])
  })

  it('is not had in a directory that is not there, which is another fault than that it is held', () => {
    const error = errorOf(() => new JournalLock(join(temporaryDirectory(), 'gone/x.lock')))
    expect([(error as NodeJS.ErrnoException).code, isBusy(error)]).toEqual(['ENOENT', false])
  })
})

describe('a private file', () => {
  it('keeps what is in it, and is made for its owner only where there is none', () => {
    const [old, fresh] = ['old', 'fresh'].map((name) => join(temporaryDirectory(), name))
    writeFileSync(old!, 'text')
    createPrivate(old!)
    createPrivate(fresh!)
    expect(readFileSync(old!, 'utf8')).toBe('text')
    expect([readFileSync(fresh!, 'utf8'), statSync(fresh!).mode & 0o777]).toEqual(['', 0o600])
  })
})
