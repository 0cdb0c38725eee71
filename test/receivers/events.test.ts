import { describe, expect, it } from 'vitest'
import type { EventRow } from '../../src/channel/messages.ts'
import { parseFilter } from '../../src/layer/filter.ts'
import { extract, RECEIVED_AT } from '../support/extract.ts'

const eventsOf = (...lines: readonly unknown[]): EventRow[] =>
  extract(lines.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join('')).events

const rowOf = (line: unknown): EventRow => eventsOf(line)[0]!
const fieldsOf = (line: unknown): Record<string, unknown> => JSON.parse(rowOf(line).fields) as Record<string, unknown>

describe('a line of level WARN or above', () => {
  it('is kept with time, level, target, message, step and its own fields', () => {
    const line = {
      timestamp: '2026-11-28T10:00:00.250Z',
      level: 'WARN',
      fields: { message: 'loss spikes', step: 7, loss: 1e9, grad: { norm: 2.5 }, 'log.line': 3 },
      target: 'ppo::train',
      threadId: 'ThreadId(1)',
      span: { name: 'update', epoch: 2 },
    }
    expect(eventsOf(line)).toEqual([
      {
        time: Date.UTC(2026, 10, 28, 10, 0, 0, 250),
        level: 'WARN',
        target: 'ppo::train',
        message: 'loss spikes',
        step: 7,
        fields: '{"step":7,"loss":1000000000,"grad":{"norm":2.5}}',
      },
    ])
  })

  it.each([
    [
      'pino',
      { level: 50, time: RECEIVED_AT, pid: 1, hostname: 'h', msg: 'no', err: { type: 'E' } },
      'ERROR',
      '',
      { err: { type: 'E' } },
    ],
    ['winston', { level: 'warn', message: 'no', timestamp: '2023-11-14T22:13:20Z', code: 7 }, 'WARN', '', { code: 7 }],
    [
      'structlog',
      { event: 'no', level: 'critical', logger: 'a.b', exception: 'Traceback' },
      'ERROR',
      'a.b',
      { exception: 'Traceback' },
    ],
    [
      'python-json-logger',
      { message: 'no', levelname: 'WARNING', name: 'a.b', lineno: 3, exc_info: 'Tr' },
      'WARN',
      'a.b',
      { exc_info: 'Tr' },
    ],
    [
      'zap',
      { level: 'dpanic', ts: RECEIVED_AT / 1000, caller: 'a.go:1', msg: 'no', stacktrace: 'main.main' },
      'ERROR',
      '',
      { stacktrace: 'main.main' },
    ],
    ['slog', { time: '2023-11-14T22:13:20Z', level: 'WARN+1', msg: 'no', a: null }, 'WARN', '', { a: null }],
    [
      'loguru',
      {
        text: 'x\nTraceback',
        record: {
          level: { name: 'ERROR', no: 40 },
          message: 'no',
          name: 'a.b',
          extra: { k: 1 },
          exception: { type: 'E' },
        },
      },
      'ERROR',
      'a.b',
      { k: 1, text: 'x\nTraceback' },
    ],
    ['a bare object', { severity: 'Fatal', message: 'no', event: 'oom' }, 'ERROR', '', { event: 'oom' }],
  ] as const)('is known as %s writes it', (_, line, level, target, fields) => {
    const row = rowOf(line)
    expect(row).toMatchObject({ time: RECEIVED_AT, level, target, message: 'no', step: null })
    expect(JSON.parse(row.fields)).toEqual(fields)
  })

  it('has the step of its points: its own, that of a span around it, none that a double cannot hold', () => {
    const span = { span: { name: 'update', step: 3 } }
    const steps = eventsOf(
      { level: 'WARN', step: 5, message: 'a', ...span },
      { level: 'WARN', message: 'a', ...span },
      { level: 'WARN', message: 'a' },
      '{"level":"WARN","message":"a","step":9007199254740993}',
    ).map(({ step }) => step)
    expect(steps).toEqual([5, 3, null, null])
  })

  it('is kept whether it is the first of its layout or the thousandth, and its numbers become points all the same', () => {
    const lines = Array.from({ length: 300 }, (_, step) => {
      const level = step % 3 === 0 ? 'WARN' : step % 3 === 1 ? 'INFO' : 'ERROR'
      return { timestamp: '2026-11-28T10:00:00.250Z', level, message: 'm', step, loss: step / 2 }
    })
    const found = extract(lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
    expect(found.points.map(({ step }) => step)).toEqual(lines.map(({ step }) => step))
    expect(found.events.map(({ step, level }) => [step, level])).toEqual(
      lines.filter(({ level }) => level !== 'INFO').map(({ step, level }) => [step, level]),
    )
  })

  it('is not kept where the filter keeps it out, nor is a line of another level or of none that is known', () => {
    const lines = ['a', 'b'].map((target) => JSON.stringify({ level: 'ERROR', target, message: 'm' })).join('\n')
    const filter = { all: parseFilter('b=warn'), rust: null }
    expect(extract(`${lines}\n`, { filter }).events.map(({ target }) => target)).toEqual(['b'])
    expect(
      eventsOf({ level: 'INFO', a: 1 }, { level: 3, a: 1 }, { level: 'odd', a: 1 }, { a: 1 }, 'ERROR: no'),
    ).toEqual([])
  })

  it('keeps its numbers as they were written', () => {
    expect(rowOf('{"level":"WARN","id":12345678901234567890,"lr":2e-05,"x":NaN}').fields).toBe(
      '{"id":12345678901234567890,"lr":2e-05,"x":"NaN"}',
    )
  })

  it('loses its secrets: under their names, in addresses, and those that its message names', () => {
    const row = rowOf({
      level: 'ERROR',
      target: 'https://me:secret@h',
      message: 'GET https://me:secret@h/x with Authorization: Bearer secret and password=secret failed',
      password: 'secret',
      db: { passwd: 'secret', url: 'postgresql://me:secret@h/db' },
      nodes: [{ api_key: 'secret-secret-secret' }],
    })
    expect(JSON.stringify(row)).not.toContain('secret')
    expect(row.message).toBe(
      'GET https://[redacted]@h/x with Authorization: Bearer [redacted] and password=[redacted] failed',
    )
    expect(JSON.parse(row.fields)).toMatchObject({
      password: '[redacted]',
      db: { url: 'postgresql://[redacted]@h/db' },
    })
  })
})

describe('a line of level ERROR that is too long', () => {
  const bytes = (text: string): number => Buffer.byteLength(text)

  it('keeps the beginning and the end of its message and target, whole characters', () => {
    const { message, target } = rowOf({
      level: 'ERROR',
      target: `a${'é'.repeat(200)}z`,
      message: `a${'🦀'.repeat(2000)}z`,
    })
    expect([bytes(message), bytes(target)].map((size, i) => size <= [4096, 256][i]! && size > [4088, 250][i]!)).toEqual(
      [true, true],
    )
    expect(message).toMatch(/^a🦀+…🦀+z$/u)
    expect(target).toMatch(/^aé+…é+z$/u)
    const { message: fits } = rowOf({ level: 'ERROR', message: 'é'.repeat(2048) })
    expect(fits).toBe('é'.repeat(2048))
  })

  it('keeps fields of 4 KiB to the byte', () => {
    const text = 'x'.repeat(4096 - bytes('{"text":""}'))
    expect(rowOf({ level: 'ERROR', message: 'm', text }).fields).toBe(`{"text":"${text}"}`)
    const cut = fieldsOf({ level: 'ERROR', message: 'm', text: `${text}x` })
    expect(cut).toEqual({ text: expect.stringMatching(/^x+…x+$/) as string, '[cut]': true })
  })

  it('keeps short fields whole beside long ones, which lose their middles, in their order, and says so', () => {
    const stack = `Traceback\n${'"\u0000é'.repeat(5000)}\nValueError: no`
    const line = {
      level: 'ERROR',
      message: 'm',
      stack,
      code: 7,
      list: Array.from({ length: 5000 }, (_, i) => i),
      last: 'z',
    }
    const { fields } = rowOf(line)
    expect(bytes(fields)).toBeLessThanOrEqual(4096)
    expect(bytes(fields)).toBeGreaterThan(3000)
    const found = JSON.parse(fields) as Record<string, unknown>
    expect(Object.keys(found)).toEqual(['stack', 'code', 'list', 'last', '[cut]'])
    expect(found).toMatchObject({ code: 7, last: 'z', '[cut]': true })
    expect(found['stack']).toMatch(/^Traceback\n[^]*…[^]*ValueError: no$/)
    expect(found['list']).toMatch(/^\[0,1,2,.*….*,4999\]$/)
  })

  it('keeps the first fields of very many, and nothing of one whose name alone is too long', () => {
    const many = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`f${i}`, i]))
    expect(Object.keys(fieldsOf({ level: 'ERROR', ...many }))).toEqual([
      ...Array.from({ length: 64 }, (_, i) => `f${i}`),
      '[cut]',
    ])
    expect(rowOf({ level: 'ERROR', ['n'.repeat(5000)]: 1 }).fields).toBe('{"[cut]":true}')
  })

  it('has lost its secrets before it is cut', () => {
    const secret = 'hunter2'.repeat(1000)
    const row = rowOf({
      level: 'ERROR',
      message: `password=${secret}`,
      deep: [{ password: secret, x: 'x'.repeat(5000) }],
      note: `https://me:hunter2@h ${'x'.repeat(5000)}`,
    })
    expect(JSON.stringify(row)).not.toContain('hunter2')
  })

  it('is kept however deep it is', () => {
    const deep = `${'[1,'.repeat(20_000)}1${']'.repeat(20_000)}`
    const row = rowOf(`{"level":"ERROR","message":"m","deep":${deep},"code":7}`)
    expect([row.message, JSON.parse(row.fields)]).toEqual(['m', { deep: '[too deep]', code: 7 }])
  })
})
