import { describe, expect, it } from 'vitest'
import { readFlags } from '../../src/config/flags.ts'
import { loadSettings, type Env } from '../../src/config/load.ts'
import { accountLines } from '../../src/delivery/summary.ts'
import { FilledJournal, inMemory, move, type Point } from '../support/filled-journal.ts'

interface Telling {
  flags?: readonly string[]
  env?: Env
  isLost?: boolean
  command?: string
}

/** The account of a run, with `J` for its journal. */
function account(
  { journal }: FilledJournal,
  { flags = [], env = {}, isLost = false, command = 'spanbridge' }: Telling = {},
): string[] {
  const { settings } = loadSettings(readFlags([...flags], false), env)
  const lines = accountLines(journal, { settings, command, isLost })
  return lines.map((line) => line.replaceAll(journal.path, 'J'))
}

/** The same without examples and statistics, which are indented. */
const facts = (filled: FilledJournal, telling?: Telling): string[] =>
  account(filled, telling).filter((line) => !line.startsWith('  '))

/** Only these. */
const details = (filled: FilledJournal, telling?: Telling): string[] =>
  account(filled, telling).filter((line) => line.startsWith('  '))

const points = (n: number): Point[] => Array.from({ length: n }, () => ({}))

describe('the account of a run', () => {
  it('tells what came, how training went, what each destination has, and where the journal is', () => {
    const filled = new FilledJournal()
    filled.count({ 'received.events': 2, 'received.lines': 2 })
    filled.points([
      { key: 'trainer/loss', value: 2, step: 1 },
      { key: 'trainer/loss', value: 0.5, step: 2 },
      { key: 'grad_norm', value: Number.NaN, step: 2 },
      { key: 'trainer/span/load/duration_ms', value: 1234.5, step: 1000 },
    ])
    filled.end()
    const destination = filled.destination()
    destination.opened('r1', true, 'http://h/r1', new Map())
    move(destination, 'points', { position: 4, delivered: 4 })
    destination.ended()
    expect(account(filled)).toEqual([
      'run ppo (01TEST) finished: 4 numbers in 2 events = 4 points',
      '           metric                last     min     max  at step',
      '           Grad Norm              NaN     NaN     NaN        2  · 1 NaN',
      '  trainer  Loss                   0.5     0.5       2        2  █▁',
      '  trainer  Load Duration (ms)  1234.5  1234.5  1234.5    1,000  ▄',
      'memory memory:: 4 points delivered, 0 refused, 0 pending · http://h/r1',
      'journal J',
    ])
  })

  it('tells spans, what came again, what was skipped and what was dropped, where there is something of it', () => {
    const filled = inMemory()
    filled.count({
      'received.numbers': 1,
      'received.events': 1,
      'received.spans': 1,
      'spans.duplicate': 1234,
      points: 1,
      'skipped.no_step': 1000,
      'skipped.filtered': 2,
      'dropped.channel_full': 3,
    })
    expect(facts(filled)[0]).toBe(
      'run ppo (01TEST) running: 1 number in 1 event and 1 span (1,234 came again) = 1 point + skipped (2 filtered, 1,000 no_step); dropped (3 channel_full)',
    )
  })

  it('tells what the console did not show', () => {
    for (const [n, words] of [
      [1, 'the terminal was slow: 1 event was not shown, but recorded'],
      [1234, 'the terminal was slow: 1,234 events were not shown, but recorded'],
    ] as const) {
      const filled = inMemory()
      filled.count({ 'console.skipped': n })
      expect(facts(filled).slice(1)).toEqual([words, 'journal J'])
    }
  })

  it('is told by destinations, but for those that the run has been moved away from', () => {
    const filled = inMemory()
    filled.points(points(1))
    filled.destination({ address: 'old:' })
    const moved = filled.destination({ address: 'new:' })
    move(moved, 'points', { position: 1, delivered: 1 })
    moved.ended()
    move(filled.destination({ exporter: 'other' }), 'points', { position: 1, rejected: 1 })
    expect(facts(filled).slice(1)).toEqual([
      'memory new:: 1 point delivered, 0 refused, 0 pending',
      'other memory:: 0 points delivered, 1 refused, 0 pending',
      'params, tags or the end wait in J; to deliver them later: spanbridge sync J',
    ])
  })
})

describe('a destination', () => {
  it('is told with what it refused of points and params, what was dropped before it had it, and what is wrong while something waits', () => {
    const filled = inMemory({ params: [['lr', '1']] })
    filled.points(points(10))
    const destination = filled.destination()
    move(destination, 'points', { position: 8, delivered: 1, rejected: 2, evicted: 5 })
    move(destination, 'params', { position: 1, rejected: 1 })
    destination.state('suspended', 'nobody listens')
    expect(facts(filled)[1]).toBe(
      'memory memory:: 1 point delivered, 3 refused, 5 dropped undelivered, 2 pending · nobody listens',
    )
    move(destination, 'points', { position: 10, delivered: 3, rejected: 2, evicted: 5 })
    expect(facts(filled)[1]).toBe('memory memory:: 3 points delivered, 3 refused, 5 dropped undelivered, 0 pending')
  })

  it('of spans is told by spans', () => {
    const filled = inMemory()
    filled.spans(8)
    const destination = filled.destination({ exporter: 'otlp', address: 'http://h', kinds: ['spans'] })
    destination.opened('r1', false, 'http://h/r1', new Map())
    destination.state('suspended', '503')
    move(destination, 'spans', { position: 7, delivered: 1, rejected: 2, evicted: 4, resent: 1234 })
    expect(facts(filled)[1]).toBe(
      'otlp http://h: 1 span delivered, 2 refused, 4 dropped undelivered, 1 pending, 1,234 sent twice · http://h/r1 · 503',
    )
    move(destination, 'spans', { position: 8, delivered: 8 })
    expect(facts(filled)[1]).toBe('otlp http://h: 8 spans delivered, 0 refused, 0 pending · http://h/r1')
  })

  it('in trouble is told of where points and spans wait', () => {
    const filled = inMemory()
    filled.points(points(1))
    filled.spans(1)
    const destination = filled.destination({ kinds: ['points', 'spans'] })
    destination.state('suspended', '503')
    expect(facts(filled)[1]).toBe('memory memory:: 0 spans delivered, 0 refused, 1 pending · 503')
  })

  it('that is in no trouble is told without an error though something waits', () => {
    const filled = inMemory()
    filled.points(points(1))
    filled.destination()
    expect(facts(filled)[1]).toBe('memory memory:: 0 points delivered, 0 refused, 1 pending')
  })
})

describe('what was skipped', () => {
  it('is told with the first line of each reason, and by which filter', () => {
    const filled = inMemory()
    filled.journal.addExample('no_step', '{"loss":1}')
    filled.journal.addExample('filtered', '{"level":"DEBUG"}')
    filled.journal.addExample('torn', '{"los')
    filled.journal.addExample('of_later_versions', 'x')
    filled.count({ 'skipped.no_step': 1234, 'skipped.filtered': 2, 'not_events.torn': 1, 'received.events': 1 })
    const lines = (by: string): string[] => [
      `  2 filtered by ${by}, the first in: {"level":"DEBUG"}`,
      '  1,234 no_step, the first in: {"loss":1}',
      '  0 of_later_versions, the first in: x',
      '  1 torn, the first in: {"los',
    ]
    expect(details(filled, { env: { RUST_LOG: 'info' } })).toEqual(lines("RUST_LOG 'info'"))
    expect(details(filled, { flags: ['--filter', 'warn'], env: { RUST_LOG: 'info' } })).toEqual(lines("filter 'warn'"))
  })

  it('is told without a line where none can be shown, and not of text that is no event', () => {
    const filled = inMemory()
    filled.count({ 'skipped.filtered': 0, 'not_events.too_long': 2, 'not_events.text': 5, 'received.events': 1 })
    expect(details(filled)).toEqual(['  2 too_long'])
  })

  it('is everything where no line was an event, which is told, unless nothing or spans came', () => {
    const words = '  no line was an event: expected one JSON object per line, with a step and numbers beside it'
    for (const [counts, told] of [
      [{ 'received.lines': 1 }, [words]],
      [{}, []],
      [{ 'received.lines': 1, 'received.events': 1 }, []],
      [{ 'received.lines': 1, 'received.spans': 1 }, []],
    ] as const) {
      const filled = inMemory()
      filled.count(counts)
      expect(details(filled)).toEqual(told)
    }
  })
})

describe('the statistics of a run', () => {
  /** The columns of each series. */
  const rows = (filled: FilledJournal): string[][] =>
    details(filled)
      .slice(1)
      .map((line) => line.trim().split(/ {2,}/))

  it('show a value in about six digits', () => {
    const values: [number, string][] = [
      [0, '0'],
      [-5, '-5'],
      [1_234_567, '1,234,567'],
      [0.123_456_7, '0.123457'],
      [-0.123_456_7, '-0.123457'],
      [123_456.789, '123457'],
      [12_345_678.912, '12,345,678.9'],
      [-12_345_678.912, '-12,345,678.9'],
      [0.0001, '0.0001'],
      [0.000_099_99, '9.999e-5'],
      [1e15 + 0.5, '1e+15'],
      [1.234_567_8e20, '1.23457e+20'],
      [Infinity, 'inf'],
      [-Infinity, '-inf'],
      [Number.NaN, 'NaN'],
    ]
    const filled = inMemory()
    filled.points(values.map(([value], i) => ({ key: `m${10 + i}`, value })))
    expect(rows(filled).map((row) => row[1])).toEqual(values.map(([, shown]) => shown))
  })

  it('show 50 series by their keys, and say how many more there are', () => {
    const keys = Array.from({ length: 50 }, (_, i) => `m${10 + i}`)
    const filled = inMemory()
    filled.points([...keys.slice(25).toReversed(), ...keys.slice(0, 25)].map((key) => ({ key })))
    expect(rows(filled).map((row) => row[0])).toEqual(keys.map((key) => key.toUpperCase()))
    filled.points([{ key: 'a' }])
    expect(rows(filled).map((row) => row[0])).toEqual([
      'A',
      ...keys.slice(0, 49).map((key) => key.toUpperCase()),
      'and 1 more',
    ])
  })

  it('cut labels that are longer than 40 characters, and take those of the user', () => {
    const filled = inMemory()
    filled.points([{ key: 'a'.repeat(40) }, { key: 'b'.repeat(41) }, { key: 'c/x' }])
    expect(rows(filled).map((row) => row[0])).toEqual([`A${'a'.repeat(39)}`, `B${'b'.repeat(38)}…`, 'c'])
    expect(details(filled, { env: { METRIC_LABELS: 'c/x=Mine' } })[3]).toMatch(/^ {2}c {2}Mine /)
  })

  it('count values that are no numbers', () => {
    const filled = inMemory()
    filled.points([1, Number.NaN, 3, Number.NaN].map((value) => ({ value })))
    expect(details(filled)).toEqual([
      '    metric  last  min  max  at step',
      '    Loss     NaN    1    3        4  ▁·█· 2 NaN',
    ])
  })
})

describe('what is left of a run', () => {
  it('is told with the command that delivers it', () => {
    for (const [n, words] of [
      [1, '1 point waits'],
      [1234, '1,234 points wait'],
    ] as const) {
      const filled = inMemory()
      for (let left = n; left > 0; left -= 500) filled.points(points(Math.min(500, left)))
      filled.destination()
      expect(facts(filled).at(-1)).toBe(`${words} in J; to deliver them later: spanbridge sync J`)
    }
  })

  it('is told by spans where those wait', () => {
    const filled = inMemory()
    filled.spans(2)
    const destination = filled.destination({ exporter: 'otlp', kinds: ['spans'] })
    destination.ended()
    expect(facts(filled).at(-1)).toBe('2 spans wait in J; to deliver them later: spanbridge sync J')
    move(destination, 'spans', { position: 1 })
    expect(facts(filled).at(-1)).toBe('1 span waits in J; to deliver them later: spanbridge sync J')
  })

  it('is told by the destination that lacks most', () => {
    const filled = inMemory()
    filled.points(points(3))
    filled.spans(1)
    move(filled.destination(), 'points', { position: 3, delivered: 3 })
    move(filled.destination({ exporter: 'second' }), 'points', { position: 1, delivered: 1 })
    filled.destination({ exporter: 'otlp', kinds: ['spans'] })
    expect(facts(filled).at(-1)).toBe('2 points and 1 span wait in J; to deliver them later: spanbridge sync J')
  })

  it('goes where the run goes, by a command that a shell takes as it is, without passwords', () => {
    const filled = inMemory()
    filled.destination()
    const flags = ['--mlflow-tracking-uri', 'https://me:secret@h:5000', '--mlflow-experiment-name', "it's mine, 'too'"]
    const last = (rest: Telling): string =>
      facts(filled, rest)
        .at(-1)!
        .replace(/^.*later: /, '')
    expect(last({ flags, command: '/opt/my apps/spanbridge' })).toBe(
      "'/opt/my apps/spanbridge' sync J --mlflow-tracking-uri https://h:5000 --mlflow-experiment-name 'it'\\''s mine, '\\''too'\\'''",
    )
    const ids = ['--mlflow-experiment-id', '7', '--mlflow-run-id', 'a1']
    for (const [command, quoted] of [
      ['a;', "'a;'"],
      ['$a', "'$a'"],
      ['a1_@%+=:,./-', 'a1_@%+=:,./-'],
    ] as const)
      expect(last({ flags: ids, command })).toBe(`${quoted} sync J --mlflow-experiment-id 7 --mlflow-run-id a1`)
  })
})

describe('a run that was kept in memory', () => {
  const last = (filled: FilledJournal): string => facts(filled, { isLost: true }).at(-1)!

  it('is lost as far as it is not delivered', () => {
    const filled = inMemory()
    filled.points(points(3))
    expect(last(filled)).toBe('3 points kept in memory only: lost, for there is no journal of them')
    const destination = filled.destination()
    move(destination, 'points', { position: 2, delivered: 2 })
    expect(last(filled)).toBe('1 point kept in memory only: lost, for there is no journal of them')
    move(destination, 'points', { position: 3, delivered: 3 })
    expect(last(filled)).toBe('memory memory:: 3 points delivered, 0 refused, 0 pending')
    destination.ended()
    expect(last(filled)).toBe('memory memory:: 3 points delivered, 0 refused, 0 pending')
  })

  it('is lost with the spans that a destination lacks', () => {
    const filled = inMemory()
    filled.spans(2)
    filled.points(points(1))
    move(filled.destination(), 'points', { position: 1, delivered: 1 })
    filled.destination({ exporter: 'otlp', kinds: ['spans'] })
    expect(last(filled)).toBe('2 spans kept in memory only: lost, for there is no journal of them')
  })

  it('because the disk was full is lost, or lacks in its journal what is delivered', () => {
    const filled = new FilledJournal()
    filled.points(points(3))
    expect(last(filled)).toBe('3 points kept in memory only: lost, for there is no journal of them in J')
    const destination = filled.destination()
    move(destination, 'points', { position: 3, delivered: 3 })
    const lacking = 'the journal J lacks points that are delivered: the disk was full, or it has been deleted'
    expect(last(filled)).toBe(lacking)
    destination.ended()
    expect(last(filled)).toBe(lacking)
  })
})
