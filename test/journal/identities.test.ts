import { copyFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Identities } from '../../src/journal/identities.ts'
import { RunJournal } from '../../src/journal/journal.ts'
import { openFiles } from '../support/open-files.ts'
import { runStart } from '../support/run-start.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

function make(stateDir: string, run: string, identity: string | null): string {
  const path = join(stateDir, `${run}.sqlite`)
  RunJournal.create(path, runStart({ run, identity })).close()
  return path
}

describe('the runs of a state directory', () => {
  it('are found by what their senders say of themselves, the newest first, whatever order they were made in', () => {
    const [stateDir, elsewhere] = [temporaryDirectory(), temporaryDirectory()]
    const [a, b, none] = [make(elsewhere, 'a', 'a'), make(elsewhere, 'b', 'b'), make(elsewhere, 'none', null)]
    const identities = new Identities(stateDir)
    const pathOf = (n: number): string => join(stateDir, `${n}.sqlite`)
    const newest = (identity: string): string | undefined => identities.newest(identity)?.journal
    for (const n of [13, 17, 11, 15, 18, 12, 16, 14, 10]) copyFileSync(n % 2 === 0 ? a : b, pathOf(n))
    copyFileSync(none, pathOf(19))
    expect([newest('a'), newest('b'), newest('c'), newest('null')]).toEqual([
      pathOf(18),
      pathOf(17),
      undefined,
      undefined,
    ])
    for (const n of [28, 21, 26, 23, 24, 25, 22, 27]) copyFileSync(n % 2 === 0 ? a : b, pathOf(n))
    expect([newest('a'), newest('b')]).toEqual([pathOf(28), pathOf(27)])
    expect(openFiles(stateDir)).toEqual([])
  })

  it('are each looked into once, those of nobody, too: what a run is does not change', () => {
    const [stateDir, elsewhere] = [temporaryDirectory(), temporaryDirectory()]
    const identities = new Identities(stateDir)
    const [nobodys, somebodys] = [make(stateDir, '01', null), make(stateDir, '02', 'b')]
    expect(identities.newest('a')).toBe(null)
    for (const path of [nobodys, somebodys]) copyFileSync(make(elsewhere, basename(path), 'a'), path)
    expect(identities.newest('a')).toBe(null)
    expect(new Identities(stateDir).newest('a')?.journal).toBe(somebodys)
  })

  it('are none where the directory is not there yet', () => {
    expect(new Identities(join(temporaryDirectory(), 'gone')).newest('a')).toBe(null)
  })

  it('are not those that were set aside, nor what is no file or no journal', () => {
    const stateDir = temporaryDirectory()
    const path = make(stateDir, '01', 'a')
    copyFileSync(path, `${join(stateDir, '02.sqlite')}.damaged`)
    mkdirSync(join(stateDir, '03.sqlite'))
    copyFileSync(new URL(import.meta.url), join(stateDir, '04.sqlite'))
    expect(new Identities(stateDir).newest('a')?.journal).toBe(path)
  })

  it('are looked at without a change of what a process that died has left', () => {
    const [living, stateDir] = [temporaryDirectory(), temporaryDirectory()]
    const journal = RunJournal.create(join(living, '01.sqlite'), runStart({ identity: 'a' }))
    onTestFinished(() => journal.close())
    for (const name of ['01.sqlite', '01.sqlite-wal']) copyFileSync(join(living, name), join(stateDir, name))
    const filesOf = (): string[] =>
      ['01.sqlite', '01.sqlite-wal'].map((name) => readFileSync(join(stateDir, name), 'hex'))
    const before = filesOf()
    expect(new Identities(stateDir).newest('b')).toBe(null)
    expect(new Identities(stateDir).newest('a')).toMatchObject({ run: '01TEST', identity: 'a' })
    expect(readdirSync(stateDir)).toContain('01.sqlite-wal')
    expect(filesOf()).toEqual(before)
  })
})
