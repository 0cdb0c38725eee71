import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ContractChecker, type Breach } from '../../src/contract/checker.ts'
import { ContractError, parseContract, unknownCategories } from '../../src/contract/contract.ts'
import { SETTINGS } from '../../src/config/settings.ts'
import { compileRules } from '../../src/layer/rules.ts'
import { LineShapes } from '../../src/receivers/lines/shape.ts'
import { defaultLayer } from '../support/extract.ts'
import { spanbridge, SPANBRIDGE, start, temporaryDirectory } from '../support/spanbridge.ts'

const rl = readFileSync(new URL('../../config/contracts/rl.yaml', import.meta.url), 'utf8')

type Event = Record<string, unknown>

function breaches(events: readonly Event[], contract = rl): Breach[] {
  const rules = compileRules(defaultLayer)
  const shapes = new LineShapes(rules, SETTINGS['layer.wrappers'].default)
  const checker = new ContractChecker(parseContract(contract, 'test.yaml'), rules)
  events.forEach((event, i) => checker.event(shapes.read(event), i + 1))
  return checker.finish()
}

const lengths = { episode_length_mean: 1, episode_length_max: 2, episode_length_min: 1 }
const returns = { mean_return: 1.5, max_return: 2, min_return: 1 }

/** A log that holds the contract: every third update is evaluated. */
const log = (updates: number): Event[] => [
  { message: 'startup', envs: 8 },
  ...Array.from({ length: updates }, (_, i): Event[] => [
    {
      category: 'TRAINER',
      policy_version: i + 1,
      actor_loss: 0.5,
      critic_loss: Number.NaN,
      entropy: 1,
      global_grad_norm: 2,
    },
    { category: 'ACTOR', timesteps: (i + 1) * 512, ...returns, ...lengths },
    { category: 'MISC', timesteps: (i + 1) * 512, steps_per_second: 5e4, learning_rate: 1e-4 },
    ...(i % 3 === 0
      ? [
          {
            category: 'eval',
            phase: 'Evaluator',
            policy_version: i + 1,
            episodes: 5,
            ...returns,
            ...lengths,
            duration_ms: 7,
          },
        ]
      : []),
    { message: 'saved checkpoint', step: i },
  ]).flat(),
]

const isOf =
  (category: string) =>
  (event: Event): boolean =>
    event['category'] === category
/** The log without the nth event of a category. */
const without = (events: readonly Event[], category: string, nth: number): Event[] => {
  const dropped = events.filter(isOf(category))[nth]
  return events.filter((event) => event !== dropped)
}
const brief = (found: readonly Breach[]): unknown[] =>
  found.map(({ problem, category, field, found, count, line }) => [problem, category, field, found, count, line])

describe('the contract rl', () => {
  it('is held by a log that has every category in every update and evaluations at a regular distance', () => {
    expect(breaches(log(10))).toEqual([])
    expect(breaches(log(1))).toEqual([])
    // The metrics of a step may come in several events, in any order of the categories.
    const split = log(6).flatMap((event) =>
      event['category'] === 'MISC'
        ? [
            { category: 'MISC', timesteps: event['timesteps'], learning_rate: 1 },
            { category: 'MISC', timesteps: event['timesteps'], steps_per_second: 1 },
          ]
        : [event],
    )
    expect(breaches(split)).toEqual([])
  })

  it('misses a category that does not come at all', () => {
    expect(brief(breaches(log(10).filter((event) => !isOf('ACTOR')(event))))).toEqual([
      ['missing', 'ACTOR', null, 'nowhere', 10, null],
    ])
    expect(breaches([]).map(({ category }) => category)).toEqual(['TRAINER', 'ACTOR', 'MISC', 'EVALUATOR'])
  })

  it.each(['TRAINER', 'ACTOR', 'MISC'])('misses %s in any one update, and tells the line before', (category) => {
    for (const nth of [1, 4, 9]) {
      const events = log(10)
      const before = events.indexOf(events.filter(isOf(category))[nth - 1]!)
      expect(brief(breaches(without(events, category, nth)))).toEqual([
        ['missing', category, null, 'in 9 of 10', 1, before + 1],
      ])
    }
    expect(breaches(without(log(10), category, 0))).toMatchObject([{ problem: 'missing', category, count: 1 }])
  })

  it('misses an evaluation that is due', () => {
    expect(breaches(without(log(13), 'eval', 2))).toMatchObject([
      {
        problem: 'missing',
        category: 'EVALUATOR',
        expected: 'every 3 updates',
        found: 'in 4 of 13',
        count: 1,
      },
    ])
    for (const nth of [0, 1, 3])
      expect(breaches(without(log(13), 'eval', nth))).toMatchObject([{ category: 'EVALUATOR', count: 1 }])
    const late = log(12).filter((event, i) => event['category'] !== 'eval' || i > 30)
    expect(breaches(late)).toMatchObject(
      [{ category: 'EVALUATOR', found: 'in 1 of 12' }].slice(0, breaches(late).length),
    )
    const stopped = log(20).filter((event, i) => event['category'] !== 'eval' || i < 40)
    expect(breaches(stopped)).toMatchObject([{ category: 'EVALUATOR', expected: 'every 3 updates' }])
  })

  it('tells of a field that is missing, of another type, or null, with how often and where first', () => {
    const events = log(5)
    const trainers = events.filter(isOf('TRAINER'))
    delete trainers[1]!['entropy']
    delete trainers[3]!['entropy']
    trainers[2]!['actor_loss'] = '0.5'
    trainers[4]!['critic_loss'] = null
    events.filter(isOf('eval'))[0]!['episodes'] = 2.5
    expect(brief(breaches(events))).toEqual(
      [
        ['missing', 'TRAINER', 'entropy', 'nothing', 2, events.indexOf(trainers[1]!) + 1],
        ['wrong type', 'TRAINER', 'actor_loss', 'text', 1, events.indexOf(trainers[2]!) + 1],
        ['wrong type', 'TRAINER', 'critic_loss', 'null', 1, events.indexOf(trainers[4]!) + 1],
        ['wrong type', 'EVALUATOR', 'episodes', 'number with a fraction', 1, 5],
      ].sort((a, b) => Number(a[1] === 'EVALUATOR') - Number(b[1] === 'EVALUATOR') || Number(a[5]) - Number(b[5])),
    )
  })

  it('tells of a field in the wrong category, of a category that is misspelt or not there, and of no step', () => {
    const events: Event[] = [
      ...log(4),
      { category: 'ACTOR', timesteps: 2048, actor_loss: 1 },
      { category: 'MISC', timesteps: 2048, mean_return: 1 },
      { step: 4, entropy: 1 },
      { category: 'TRIANER', step: 4, global_grad_norm: 1 },
      { category: 'TRAINER', entropy: 1 },
    ]
    const found = breaches(events).map(({ problem, field, expected, found }) => [problem, field, expected, found])
    expect(found).toEqual([
      ['wrong category', 'actor_loss', 'TRAINER', 'ACTOR'],
      ['wrong category', 'entropy', 'TRAINER', 'MISC (no category)'],
      ['wrong category', 'global_grad_norm', 'TRAINER', 'TRIANER, which counts as MISC'],
      ['no step', null, 'a step', 'none'],
      ['wrong category', 'mean_return', 'ACTOR or EVALUATOR', 'MISC'],
    ])
  })
})

describe('a contract of one own', () => {
  it('may know its distance, its own categories and nested fields', () => {
    const contract = 'categories: { TRAINER: { every: 2, fields: { timing/env_ms: number } } }'
    const step = (step: number): Event => ({ category: 'TRAINER', step, timing: { env_ms: 1 } })
    const both = `${contract.slice(0, -2)}, ACTOR: { every: update, fields: { x: any } } }`
    const actor = (step: number): Event => ({ category: 'ACTOR', step, x: true })
    expect(breaches([actor(1), step(1), actor(2), actor(3), step(3)], both)).toEqual([])
    expect(breaches([actor(1), step(1), actor(2), actor(3), actor(4), actor(5), step(5)], both)).toMatchObject([
      { category: 'TRAINER', expected: 'every 2 updates', count: 1 },
    ])
  })

  it('that is wrong tells everything that is wrong with it', () => {
    const text = 'categorys: {}\ncategories:\n  A: { every: updat, field: {}, fields: { x: nunber, y: 3 } }\n  B: 7\n'
    let problems: readonly string[] = []
    try {
      parseContract(text, 'mine.yaml')
    } catch (error) {
      problems = (error as ContractError).problems
    }
    expect(problems).toEqual([
      "mine.yaml: there is no 'categorys' here; did you mean categories?",
      "mine.yaml: categories.A: there is no 'field' here; did you mean fields?",
      'mine.yaml: categories.A.every: expected update, cadence, sometimes or a number of updates, got "updat"; did you mean update?',
      'mine.yaml: categories.A.fields.x: expected one of number, integer, text, boolean, any, got "nunber"; did you mean number?',
      'mine.yaml: categories.A.fields.y: expected one of number, integer, text, boolean, any, got 3',
      "mine.yaml: categories.B: expected 'every' and 'fields', got 7",
    ])
    expect(() => parseContract('[1', 'x')).toThrow(ContractError)
    expect(() => parseContract('', 'x')).toThrow("x: expected 'categories'")
  })
})

describe('a contract that cannot be held', () => {
  const problems = (text: string): string[] => {
    try {
      return unknownCategories(parseContract(text, 'x'), compileRules(defaultLayer))
    } catch (error) {
      return [...(error as ContractError).problems]
    }
  }

  it('is refused: without an update to count in, twice the same category, one that the settings do not know', () => {
    expect(problems('categories: {}')).toEqual(['x: categories: expected at least one, got none'])
    expect(problems('categories: { TRAINER: { every: 2 } }')[0]).toContain("expected one with 'every: update'")
    expect(problems('categories: { TRAINER: { every: update }, trainer: {} }')).toEqual([
      'x: categories.trainer: expected each category once, got it twice',
    ])
    expect(problems('categories: { TRAINER: { every: update }, TRAIN: {} }')).toEqual([
      'TRAIN: expected each category once, got also TRAINER, which is the same',
    ])
    expect(problems('categories: { SAMPLER: { every: update } }')).toEqual([
      "SAMPLER: there is no such category; expected one of the setting 'categories'",
    ])
    expect(problems('categories: *x')[0]).toContain('alias')
  })
})

it('what a log says cannot fill the memory, or break the table', () => {
  const events = Array.from({ length: 5000 }, (_, i): Event => ({ category: `\u001b[2J${i}\n`, step: i, entropy: 1 }))
  const rules = compileRules(defaultLayer)
  const checker = new ContractChecker(parseContract(rl, 'rl'), rules)
  const shapes = new LineShapes(rules, SETTINGS['layer.wrappers'].default)
  for (const event of events) checker.event(shapes.read(event), 1)
  expect([checker.finish().length <= 1004, checker.unkept > 3900]).toEqual([true, true])
})

describe('spanbridge check --contract', () => {
  const lines = (events: readonly Event[]): string =>
    events.map((event) => `${JSON.stringify(event).replaceAll('null', 'NaN')}\n`).join('')

  it('says that a log holds its contract, and exits 0', async () => {
    const { code, stdout } = await spanbridge(['check', '--contract', 'rl'], `text\n${lines(log(5))}`)
    expect([code, stdout.toString()]).toEqual([
      0,
      'the log holds the contract rl: 17 events with metrics in 24 lines\n',
    ])
  })

  it('prints a table of what is wrong, or JSON, and exits 1', async () => {
    const broken = lines(without(log(5), 'ACTOR', 2))
    const { code, stdout } = await spanbridge(['check', '--contract', 'rl'], broken)
    expect(code).toBe(1)
    expect(stdout.toString()).toMatch(/ACTOR +\(the event\) +missing +in every update +in 4 of 5 +1 +8\n/)
    const json = await spanbridge(['check', '--contract', 'rl', '--json'], broken)
    expect(json.code).toBe(1)
    expect(JSON.parse(json.stdout.toString())).toMatchObject({ breaches: [{ category: 'ACTOR', count: 1, line: 8 }] })
  })

  it('escapes what the log says, and takes a log that cannot be read for no log', async () => {
    const { stdout } = await spanbridge(
      ['check', '--contract', 'rl'],
      '{"category":"\\u001b[2J","step":1,"entropy":1}\n',
    )
    expect(stdout.toString()).toContain('\\x1b[2J, which counts as MISC')
    expect(stdout.toString()).not.toContain('\x1b')
    const folder = start('sh', ['-c', `'${SPANBRIDGE}' check --contract rl < /`])
    expect(await folder.finished).toMatchObject({ code: 2, stderr: expect.stringContaining('cannot be read') })
  })

  it('takes a file, and names what there is when there is none of that name', async () => {
    const path = join(temporaryDirectory(), 'mine.yaml')
    writeFileSync(path, 'categories: { TRAINER: { every: update, fields: { loss: number } } }\n')
    expect((await spanbridge(['check', '--contract', path], '{"category":"TRAIN","step":1,"loss":1}\n')).code).toBe(0)
    const { code, stderr } = await spanbridge(['check', '--contract', 'rll'], '')
    expect([code, stderr]).toEqual([
      2,
      "spanbridge: there is no contract 'rll'; did you mean rl?; expected one of rl, or a file (./rll)\n",
    ])
    expect((await spanbridge(['check', '--contract', '/no/such.yaml'], '')).stderr).toContain(
      '/no/such.yaml: cannot be read',
    )
  })
})
