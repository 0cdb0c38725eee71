import xterm from '@xterm/headless'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { accountLines, stateOf, troubleOf } from '../../src/top/account.ts'
import { Dots } from '../../src/top/dots.ts'
import { Frame } from '../../src/top/frame.ts'
import { gridOf, placeIn } from '../../src/top/grid.ts'
import { keysIn } from '../../src/top/keys.ts'
import { fit, glyphsOf, widthOf } from '../../src/top/text.ts'
import { readStatus } from '../../src/journal/status.ts'
import { inMemory, move, type FilledJournal } from '../support/filled-journal.ts'

const texts = fc.array(
  fc.record({
    x: fc.integer({ min: -2, max: 21 }),
    y: fc.integer({ min: 0, max: 3 }),
    text: fc.string({ unit: fc.constantFrom('a', 'é', ' ', '失', '⣿', '─', '\u001b', 'b'), maxLength: 12 }),
    style: fc.constantFrom('plain' as const, 'bad' as const, 'bar' as const),
  }),
  { maxLength: 8 },
)

describe('a frame', () => {
  it('turns a terminal that shows the one before into itself, whatever both are', async () => {
    const drawn = (puts: typeof texts extends fc.Arbitrary<infer T> ? T : never): Frame => {
      const frame = new Frame(20, 4)
      for (const { x, y, text, style } of puts) frame.put(x, y, text, style)
      return frame
    }
    await fc.assert(
      fc.asyncProperty(texts, texts, async (first, second) => {
        const terminal = new xterm.Terminal({ cols: 20, rows: 4, allowProposedApi: true })
        const [before, after] = [drawn(first), drawn(second)]
        const sent = `\x1b[?7l${before.changesFrom(null, '256')}${after.changesFrom(before, '256')}`
        await new Promise<void>((resolve) => terminal.write(sent, resolve))
        const shown = [0, 1, 2, 3].map((y) => terminal.buffer.active.getLine(y)!.translateToString())
        expect(shown).toEqual([0, 1, 2, 3].map((y) => after.row(y)))
        terminal.dispose()
      }),
      { numRuns: 50 },
    )
  })

  it('sends nothing where nothing has changed', () => {
    const [one, other] = [new Frame(20, 4), new Frame(20, 4)]
    for (const frame of [one, other]) frame.put(3, 1, 'step 7', 'strong')
    expect(other.changesFrom(one, '256')).toBe('')
    other.put(8, 1, '8', 'strong')
    expect(other.changesFrom(one, '256')).toBe('\x1b[2;9H\x1b[0;1m8\x1b[0m')
  })

  it('has no colour in a terminal without, and none beyond sixteen in one of sixteen', () => {
    const frame = new Frame(20, 1)
    frame.put(0, 0, 'a', 'bad')
    frame.put(1, 0, 'b', 'barBad')
    frame.put(2, 0, 'c', 'selected')
    // oxlint-disable-next-line no-control-regex -- the sequences are what is looked for
    const sgr = (text: string): string[] => text.match(/\x1b\[[\d;]*m/g) ?? []
    expect(sgr(frame.changesFrom(null, 'none')).join('')).not.toMatch(/[34]\d|38;5/)
    expect(sgr(frame.changesFrom(null, '16')).join('')).not.toContain('8;5')
  })
})

it('text is cut by the columns that it takes, and control characters are shown', () => {
  expect([widthOf('損失a'), fit('損失の値', 5), fit('loss', 3), fit('loss', 4)]).toEqual([5, '損失…', 'lo…', 'loss'])
  expect(
    glyphsOf('\u001b[2J')
      .map(({ text }) => text)
      .join(''),
  ).toBe('\\x1b[2J')
})

it('a line of dots has both of its ends, and no hole', () => {
  const dot = fc.tuple(fc.integer({ min: 0, max: 19 }), fc.integer({ min: 0, max: 19 }))
  fc.assert(
    fc.property(dot, dot, (from, to) => {
      const dots = new Dots(10, 5)
      const seen: [number, number][] = []
      const set = dots.set.bind(dots)
      dots.set = (x, y, rank) => {
        seen.push([x, y])
        set(x, y, rank)
      }
      dots.line(from, to, () => 1)
      expect([seen[0], seen.at(-1)]).toEqual([from, to])
      for (const [i, [x, y]] of seen.slice(1).entries())
        expect(Math.max(Math.abs(x - seen[i]![0]), Math.abs(y - seen[i]![1]))).toBe(1)
      for (const [x, y] of seen) expect(dots.cell(x >> 1, y >> 2)).not.toBeNull()
    }),
  )
})

it('a grid holds all charts where they go in, none too small, each in a place of its own', () => {
  const size = fc.record({ width: fc.integer({ min: 26, max: 300 }), height: fc.integer({ min: 6, max: 90 }) })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 200 }), size, (charts, { width, height }) => {
      const grid = gridOf(charts, { width, height })
      const most = Math.floor(width / 26) * Math.floor(height / 6)
      expect(grid.columns * grid.rows).toBeGreaterThanOrEqual(Math.min(charts, most))
      const places = Array.from({ length: grid.columns * grid.rows }, (_, i) =>
        placeIn(grid, i, { x: 0, y: 2, width, height }),
      )
      for (const place of places) {
        expect(place.width).toBeGreaterThanOrEqual(25)
        expect(place.height).toBeGreaterThanOrEqual(6)
        expect([place.x + place.width <= width, place.y + place.height <= height + 2]).toEqual([true, true])
      }
      expect(new Set(places.map(({ x, y }) => `${x} ${y}`)).size).toBe(places.length)
    }),
  )
  expect(gridOf(23, { width: 80, height: 21 })).toEqual({ columns: 3, rows: 3 })
})

it('keys are known by what terminals send for them', () => {
  expect(keysIn('\x1b[A\x1bOBq\x1b[5~\r\x1b[1;5Cé\x03\x1b')).toEqual([
    'up',
    'down',
    'q',
    'pageup',
    'enter',
    'é',
    'ctrl-c',
    'escape',
  ])
})

describe('the account', () => {
  const statusOf = ({ journal }: FilledJournal) => readStatus(journal.database, '/j', true)
  const textOf = (filled: FilledJournal): string[] =>
    accountLines(statusOf(filled)).map((pieces) => pieces.map(([text]) => text).join(''))

  it('says what became of everything that came, for each destination', () => {
    const filled = inMemory()
    const account = filled.destination({ exporter: 'mlflow', address: 'http://h' })
    filled.points([{ value: 1 }, { value: 2 }, { value: 3 }])
    filled.count({ 'received.numbers': 2, 'skipped.no_step': 2 })
    move(account, 'points', { position: 2, delivered: 1, rejected: 1 })
    expect(textOf(filled)).toEqual([
      'numbers received 5 = 3 points + 2 skipped (2 no_step)',
      'points 3 = 3 in the journal',
      'mlflow ok points 3 = 1 delivered + 1 pending + 1 refused  http://h',
    ])
    expect(troubleOf(statusOf(filled))).toEqual({ words: '1 pending, 1 refused', style: 'bad' })
  })

  it('does not call equal what is not', () => {
    const filled = inMemory()
    filled.points([{ value: 1 }])
    filled.count({ 'received.numbers': 1 })
    expect(textOf(filled)[0]).toBe('numbers received 2 ≠ 1 points')
  })

  it('tells a run that lives from one that ended, and from one whose process died', () => {
    const filled = inMemory()
    const run = { ...statusOf(filled), lastTime: new Date(2026, 0, 1, 12, 3, 4).getTime() }
    const state = (of: Partial<typeof run>): string => stateOf({ ...run, ...of }, run.lastTime + 60_000).words
    expect(state({})).toBe('● live')
    expect(state({ isHeld: false, status: 'interrupted' })).toBe('■ interrupted as of 12:03:04')
    expect(state({ isHeld: false, status: 'finished', endedAt: run.lastTime })).toBe('finished as of 12:03:04')
    expect(state({ endedAt: run.lastTime, status: 'failed' })).toBe('failed as of 12:03:04, being delivered')
    expect(stateOf({ ...run, isHeld: false, status: 'killed' }, run.lastTime + 2 * 86_400_000).words).toBe(
      '■ killed as of 1 Jan 12:03',
    )
  })
})
