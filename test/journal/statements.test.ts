import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Statements } from '../../src/journal/statements.ts'

function open(): Statements {
  const database = new DatabaseSync(':memory:')
  database.exec('CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)')
  onTestFinished(() => {
    if (database.isOpen) database.close()
  })
  return new Statements(database)
}

describe('statements', () => {
  it('are prepared once, and take their values in order', () => {
    const rows = open()
    rows.run('INSERT INTO t (a, b) VALUES (?, ?)', 1, 'x')
    rows.run('INSERT INTO t (a, b) VALUES (?, ?)', 2, null)
    expect(rows.get('SELECT b FROM t WHERE a = ?', 1)).toEqual({ b: 'x' })
    expect(rows.get('SELECT b FROM t WHERE a = ?', 3)).toBeUndefined()
    expect(rows.all('SELECT a FROM t WHERE a >= ? ORDER BY a DESC', 1)).toEqual([{ a: 2 }, { a: 1 }])
    expect(rows.prepare('SELECT a FROM t')).toBe(rows.prepare('SELECT a FROM t'))
    expect(rows.prepare('SELECT a FROM t')).not.toBe(rows.prepare('SELECT b FROM t'))
  })

  it('in a transaction are written whole', () => {
    const rows = open()
    rows.transaction(() => {
      rows.run('INSERT INTO t (a) VALUES (1)')
      expect(rows.database.isTransaction).toBe(true)
      rows.run('INSERT INTO t (a) VALUES (2)')
    })
    expect([rows.database.isTransaction, rows.all('SELECT a FROM t').length]).toEqual([false, 2])
  })

  it('in a transaction that fails are not written at all, and the next one can begin', () => {
    const rows = open()
    const failed = new Error('no')
    expect(() =>
      rows.transaction(() => {
        rows.run('INSERT INTO t (a) VALUES (1)')
        throw failed
      }),
    ).toThrow(failed)
    expect([rows.database.isTransaction, rows.all('SELECT a FROM t')]).toEqual([false, []])
    rows.transaction(() => rows.run('INSERT INTO t (a) VALUES (1)'))
    expect(rows.all('SELECT a FROM t')).toHaveLength(1)
  })

  it('that SQLite has taken back by itself tell the first error', () => {
    const rows = open()
    expect(() =>
      rows.transaction(() => {
        rows.database.exec('ROLLBACK')
        throw new Error('disk is full')
      }),
    ).toThrow(new Error('disk is full'))
  })

  it('end with their database', () => {
    const rows = open()
    rows.close()
    expect(rows.database.isOpen).toBe(false)
    expect(() => rows.run('SELECT 1')).toThrow('database is not open')
  })
})
