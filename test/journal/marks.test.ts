import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { readMarks, readMarksOf, writeMark } from '../../src/journal/marks.ts'
import { SCHEMA } from '../../src/journal/schema.ts'
import { Statements } from '../../src/journal/statements.ts'
import { createJournal, metaOf } from '../support/journal.ts'
import { openFiles } from '../support/open-files.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

function open(): Statements {
  const rows = new Statements(new DatabaseSync(':memory:'))
  rows.database.exec(SCHEMA)
  return rows
}

describe('how far followed files have been read', () => {
  it('is what was written last of each file, in the order of their keys, until it is taken back', () => {
    const rows = open()
    writeMark(rows, ['9:1', 'b'])
    writeMark(rows, ['10:1', 'a'])
    writeMark(rows, ['9:1', 'c'])
    expect(readMarks(rows)).toEqual([
      ['10:1', 'a'],
      ['9:1', 'c'],
    ])
    writeMark(rows, ['9:1', null])
    writeMark(rows, ['8:1', null])
    expect(readMarks(rows)).toEqual([['10:1', 'a']])
    rows.close()
  })

  it('has any key and any text, and is no other thing that is known of a run', () => {
    const rows = open()
    // In the table these stand right before and right behind the marks.
    for (const key of ['file', 'file-', 'file/', 'filf', 'identity'])
      rows.run('INSERT INTO meta (key, value) VALUES (?, ?)', key, 'x')
    for (const key of ['', '\u{10FFFF}', 'file.', '%']) writeMark(rows, [key, `${key}\n"`])
    expect(readMarks(rows)).toEqual(['', '%', 'file.', '\u{10FFFF}'].map((key) => [key, `${key}\n"`]))
    expect(rows.all('SELECT key FROM meta WHERE value = ?', 'x')).toHaveLength(5)
    rows.close()
  })

  it('is read of a journal that somebody else is writing into, and the file is let go', () => {
    const journal = createJournal()
    journal.addMarks([['1:2', 'so far']])
    journal.commit()
    expect(metaOf(journal, 'file.1:2')).toBe('so far')
    journal.database.exec('BEGIN IMMEDIATE')
    expect(readMarksOf(journal.path)).toEqual([['1:2', 'so far']])
    journal.database.exec('ROLLBACK')
    journal.close()
    expect(openFiles(journal.path)).toEqual([])
  })

  it('is not known where there is no journal, or none that can be read; none is made, and nothing stays open', () => {
    const directory = temporaryDirectory()
    const path = join(directory, 'x.sqlite')
    writeFileSync(path, 'this is no journal')
    expect([readMarksOf(path), readMarksOf(join(directory, 'gone.sqlite'))]).toEqual([[], []])
    expect(openFiles(directory)).toEqual([])
    // Not made by whoever looks.
    expect(() => new DatabaseSync(join(directory, 'gone.sqlite'), { readOnly: true })).toThrow('unable to open')
  })
})
