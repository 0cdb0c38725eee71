import { existsSync, readdirSync, readlinkSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { createFile, openFile } from '../../src/journal/file.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { runStart } from '../support/run-start.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

const pragma = (database: DatabaseSync, name: string): unknown =>
  Object.values(database.prepare(`PRAGMA ${name}`).get()!)[0]

/** The files of a directory that this process has open. */
const openIn = (directory: string): string[] =>
  readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`)
      return path.startsWith(directory) ? [path.slice(directory.length + 1)] : []
    } catch {
      return []
    }
  })

/** A file that says of itself that it is of this kind and format. */
function made(id: number, format: number): string {
  const path = join(temporaryDirectory(), 'x.sqlite')
  const database = new DatabaseSync(path)
  database.exec(`PRAGMA application_id = ${id}; PRAGMA user_version = ${format}`)
  database.close()
  return path
}

const OURS = 0x53704272
const FULL = 2
const INCREMENTAL = 2

describe('the file of a journal', () => {
  it('is for its owner, syncs each commit, waits 2 s for others, gives pages back, and keeps its log short', () => {
    const path = join(temporaryDirectory(), 'x.sqlite')
    const database = createFile(path)
    database.exec('CREATE TABLE t (a)')
    const settings = (of: DatabaseSync): unknown[] =>
      ['journal_mode', 'auto_vacuum', 'synchronous', 'journal_size_limit', 'busy_timeout'].map((name) =>
        pragma(of, name),
      )
    expect(settings(database)).toEqual(['wal', INCREMENTAL, FULL, 8_388_608, 2000])
    expect(statSync(path).mode & 0o777).toBe(0o600)
    database.exec(`PRAGMA application_id = ${OURS}; PRAGMA user_version = 5`)
    database.close()
    const again = openFile(path)
    expect(settings(again)).toEqual(['wal', INCREMENTAL, FULL, 8_388_608, 2000])
    again.close()
  })

  it('is none for a journal in memory', () => {
    const database = createFile(':memory:')
    expect(database.location()).toBeNull()
    expect(existsSync(':memory:')).toBe(false)
    database.close()
  })

  it.each([
    [OURS, 0, '0'],
    [OURS, 6, '6'],
    [OURS + 1, 4, 'another kind of file'],
    [0, 0, 'another kind of file'],
  ])('of kind %i and format %i is refused by name, and not kept open', (id, format, found) => {
    const path = made(id, format)
    expect(() => openFile(path)).toThrow(
      new Error(`${path} is no journal of this version: expected format 5, found ${found}`),
    )
    expect(openIn(join(path, '..'))).toEqual([])
  })

  it('that cannot be read in, or is closed, is not kept open', () => {
    const directory = temporaryDirectory()
    const path = join(directory, 'x.sqlite')
    const journal = RunJournal.create(path, runStart())
    journal.overflow(1)
    expect(openIn(directory)).toContain('x.sqlite')
    journal.close()
    expect(openIn(directory)).toEqual([])
    const database = new DatabaseSync(path)
    database.exec("INSERT INTO series (id, key) VALUES (1, 'a')")
    database.close()
    expect(() => RunJournal.open(path)).toThrow(
      new Error(`${path} is damaged: expected series 0 and its key, got 1 and a`),
    )
    expect(openIn(directory)).toEqual([])
  })
})
