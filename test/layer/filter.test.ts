import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { readFlags } from '../../src/config/flags.ts'
import { loadSettings } from '../../src/config/load.ts'
import { LEVELS, parseFilter } from '../../src/layer/filter.ts'
import { extract, triples } from '../support/extract.ts'
import { fixture } from '../support/fixtures.ts'

interface Case {
  directives: string
  ok: boolean
  enabled: Record<string, string>
}
const recorded = JSON.parse(readFileSync(new URL('../fixtures/envfilter/envfilter.json', import.meta.url), 'utf8')) as {
  cases: Case[]
}

/** Span and field directives are refused, and so are blanks and signs inside a target: EnvFilter takes them for names that nothing has. */
const isRefused = ({ directives }: Case): boolean => /[[\]{}]/.test(directives)
const isOdd = ({ directives }: Case): boolean =>
  directives.split(',').some((piece) => /[^\w:.=+-]/.test(piece) || /^\+|^\./.test(piece))

describe('a filter', () => {
  const plain = recorded.cases.filter(
    (each) => !isRefused(each) && !isOdd(each) && each.directives.replaceAll(',', '') !== '',
  )

  it("is read as Rust's EnvFilter reads it", () => {
    expect(plain.length).toBeGreaterThan(60)
    for (const { directives, ok, enabled } of plain) {
      if (!ok) {
        expect(() => parseFilter(directives), directives).toThrow('expected directives')
        continue
      }
      const filter = parseFilter(directives)!
      const found = Object.keys(enabled).map((target) => {
        const level = LEVELS.findLastIndex((_, i) => i > 0 && filter.allows(target, i))
        return [target, level < 0 ? 'OFF' : LEVELS[level]]
      })
      expect(Object.fromEntries(found), directives).toEqual(enabled)
    }
  })

  it('refuses span and field directives by name', () => {
    const refused = recorded.cases.filter(isRefused)
    expect(refused.length).toBeGreaterThan(20)
    for (const { directives } of refused) expect(() => parseFilter(directives), directives).toThrow()
    expect(() => parseFilter('info,my_crate[train{step=3}]=debug')).toThrow(
      "got 'my_crate[train{step=3}]=debug': directives for spans and fields",
    )
  })

  it('takes blanks around directives, numbers for levels, and nothing at all for everything', () => {
    expect(parseFilter(' info , my_crate=debug ')!.allows('my_crate', 4)).toBe(true)
    expect(parseFilter('3')!.allows('x', 4)).toBe(false)
    expect([parseFilter(''), parseFilter(' , ')]).toEqual([null, null])
  })

  it('tells what was expected and what came', () => {
    expect(() => parseFilter('my_crate=verbose')).toThrow(
      "expected directives such as info, my_crate=debug, my_crate::noisy=off, with commas between them, got 'my_crate=verbose': 'verbose' is none of the levels off, error, warn, info, debug, trace",
    )
    for (const wrong of ['=debug', '*=info', 'a;b', 'a b', '"info"'])
      expect(() => parseFilter(wrong)).toThrow(`got '${wrong}'`)
  })

  it('lets an event without a level pass where anything does, and one without a target where the directive has none', () => {
    expect([parseFilter('warn')!.allows('', null), parseFilter('off')!.allows('', null)]).toEqual([true, false])
    expect([parseFilter('my_crate=info')!.allows('', 3), parseFilter('my_crate=info,warn')!.allows('', 2)]).toEqual([
      false,
      true,
    ])
  })
})

describe('what is filtered', () => {
  const lines = [
    '{"level":"INFO","target":"ppo","fields":{"step":1,"loss":0.5}}',
    '{"level":"DEBUG","target":"ppo::noisy","fields":{"step":1,"loss":99,"aux":1}}',
    '{"level":"info","event":"structlog","step":2,"loss":1}',
    '{"level":20,"name":"pino","step":3,"loss":2}',
    '{"step":4,"loss":3}',
  ].join('\n')

  it('becomes no points and no params, and is counted with an example', () => {
    const found = extract(`${lines}\n`, { filter: { all: parseFilter('info,ppo::noisy=off'), rust: null } })
    expect(triples(found).map(([, step]) => step)).toEqual([1, 2, 4])
    expect(found.counts).toMatchObject({
      'received.numbers': 6,
      points: 3,
      'skipped.filtered': 3,
      'received.events': 5,
    })
    expect(found.examples['filtered']).toContain('ppo::noisy')
    const startup = extract('{"level":"DEBUG","target":"a","fields":{"message":"startup","envs":8}}\n', {
      filter: { all: parseFilter('info'), rust: null },
    })
    expect([startup.params, startup.counts['skipped.filtered']]).toEqual([[], 1])
  })

  it('tells levels by words before numbers, and by numbers only on the scale of pino', () => {
    const passes = (line: string): boolean =>
      extract(`${line}\n`, { filter: { all: parseFilter('info'), rust: null } }).points.length === 1
    const lines = [
      '{"level":3,"step":1,"reward":2}',
      '{"severity":17,"step":1,"a":1}',
      '{"level":20,"levelname":"INFO","step":1,"a":1}',
      '{"level":"INFO+2","step":1,"a":1}',
      '{"level":"DEBUG-4","step":1,"a":1}',
      '{"level":20,"step":1,"a":1}',
    ]
    expect(lines.map(passes)).toEqual([true, true, true, true, false, false])
  })

  it("by RUST_LOG is only what a Rust program wrote: another trainer's charts stay", () => {
    const found = extract(`${lines}\n`, { filter: { all: null, rust: parseFilter('warn') } })
    expect(triples(found).map(([, step]) => step)).toEqual([2, 3, 4])
    for (const name of ['python-lines/stdlib-context.jsonl', 'javascript-lines/pino.jsonl', 'go-lines/slog.jsonl']) {
      const { bytes, expected } = fixture(name)
      expect(extract(bytes, { filter: { all: null, rust: parseFilter('off') } }).points.length, name).toBe(
        expected.points.length,
      )
    }
    const rust = extract(fixture('rust-lines/nested-default.jsonl').bytes, {
      filter: { all: null, rust: parseFilter('off') },
    })
    expect(rust.points).toEqual([])
  })

  it('by RUST_LOG, of lines that do not tell their target, is only what no directive lets pass', () => {
    const line = '{"level":"INFO","fields":{"step":1,"loss":1}}\n'
    const points = (text: string): number =>
      extract(line, { filter: { all: null, rust: parseFilter(text) } }).points.length
    expect([points('my_crate=debug'), points('warn,my_crate=error')]).toEqual([1, 0])
  })
})

describe('the setting', () => {
  const load = (argv: readonly string[], env: Record<string, string> = {}) => loadSettings(readFlags(argv, false), env)

  it('is checked at the start, and RUST_LOG only warned of', () => {
    expect(load(['--filter', 'ppo=loud']).problems[0]).toContain('--filter: expected directives')
    const { problems, notices, settings } = load([], { RUST_LOG: 'info,[span]=debug' })
    expect([problems, settings.rustFilter]).toEqual([[], null])
    expect(notices[0]).toMatch(/^RUST_LOG: .*\[span\]=debug.*; it is not used$/)
  })

  it('RUST_LOG says nothing where a filter is set, and of Rust where none is', () => {
    expect(load(['--filter=info'], { RUST_LOG: 'off' }).notices).toEqual([])
    expect(load([], { RUST_LOG: 'off' }).notices).toEqual([
      "RUST_LOG: 'off' lets no event of a Rust program pass: there will be no points of it",
    ])
  })

  it('that is empty is the default, and one that lets nothing pass is told', () => {
    expect(load(['--filter', ''], { RUST_LOG: 'warn' }).settings).toMatchObject({ filter: null, rustFilter: 'warn' })
    expect(load(['--filter=off']).notices).toEqual(["--filter: 'off' lets no event pass: there will be no points"])
  })
})
