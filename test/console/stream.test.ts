import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Renderer } from '../../src/console/render.ts'
import { ConsoleStream } from '../../src/console/stream.ts'
import { compileRules } from '../../src/layer/rules.ts'
import { SETTINGS } from '../../src/config/settings.ts'
import { LineReader } from '../../src/receivers/lines/index.ts'
import { parseFilter } from '../../src/layer/filter.ts'
import { Counters } from '../../src/telemetry/counters.ts'
import { defaultLayer } from '../support/extract.ts'

interface Shown {
  /** Everything in the order in which it was written. */
  all: string
  stream: ConsoleStream
  skipped: number
  written: Buffer[]
}

/** A console whose writes are collected; `unread` is what the terminal has not taken. */
function shown({
  colour = false,
  unread = 0,
  labels = {},
  filter = null,
  point = (): void => {},
}: {
  colour?: boolean
  unread?: number
  labels?: Record<string, string>
  filter?: string | null
  point?: () => void
} = {}): Shown {
  const rules = compileRules(defaultLayer)
  const out = { series: () => {}, point, params: () => {}, example: () => {}, event: () => {} }
  const options = { rules, wrappers: SETTINGS['layer.wrappers'].default }
  const reader = new LineReader(
    { ...options, filter: { all: parseFilter(filter ?? ''), rust: null } },
    out,
    new Counters(),
  )
  const written: Buffer[] = []
  const output = { unread, stands: () => true, write: (bytes: Buffer): void => void written.push(Buffer.from(bytes)) }
  const found: Shown = {
    get all() {
      return Buffer.concat(written).toString()
    },
    skipped: 0,
    written,
    stream: new ConsoleStream({
      renderer: new Renderer({ rules, labels, colour }),
      text: output as never,
      events: output as never,
      open: (tap) => reader.stream(Date.now, tap),
      onSkipped: () => (found.skipped += 1),
    }),
  }
  return found
}

function showAll(input: string | Buffer, options?: Parameters<typeof shown>[0]): string {
  const console = shown(options)
  console.stream.push(Buffer.from(input))
  console.stream.end()
  return console.all
}

describe('an event', () => {
  it('is one line: category, message, then every field under its label in the order of the line', () => {
    expect(
      showAll(
        '{"timestamp":"2026-01-01T00:00:00Z","level":"INFO","target":"ppo","fields":{"message":"update done","category":"TRAINER","policy_version":3,"actor_loss":-0.012,"global_grad_norm":12345.678,"phase":"Training","ok":true}}\n',
      ),
    ).toBe(
      'TRAINER - update done | Policy Version: 3 | Actor Loss: -0.012000 | Grad Norm: 1.234568e4 | Phase: Training | Ok: true\n',
    )
  })

  it('has its label in colour on a terminal, and nothing else of it unless it is bad', () => {
    const lines = ['TRAIN', 'eval', 'ACTOR', 'MISC', 'SAMPLER'].map(
      (category) => `{"category":"${category}","step":1,"x":0.5}\n`,
    )
    expect(showAll(lines.join(''), { colour: true }).trimEnd().split('\n')).toEqual([
      '\x1b[1;35mTRAINER\x1b[0m - Step: 1 | X: 0.500000',
      '\x1b[1;32mEVALUATOR\x1b[0m - Step: 1 | X: 0.500000',
      '\x1b[1;36mACTOR\x1b[0m - Step: 1 | X: 0.500000',
      '\x1b[1;33mMISC\x1b[0m - Step: 1 | X: 0.500000',
      '\x1b[1;33mMISC\x1b[0m - Step: 1 | X: 0.500000',
    ])
    expect(showAll('{"step":1,"loss":NaN,"up":-Infinity}\n', { colour: true })).toBe(
      '\x1b[1;33mMISC\x1b[0m - Step: 1 | Loss: \x1b[1;31mNaN\x1b[0m | Up: \x1b[1;31m-inf\x1b[0m\n',
    )
  })

  it('that warns or tells of an error says so', () => {
    expect(showAll('{"level":"warning","event":"slow","step":1}\n{"level":50,"msg":"gone"}\n')).toBe(
      'MISC - WARN slow | Step: 1\nMISC - ERROR gone\n',
    )
  })

  it('without fields shows its message, without either says so, and nested objects are paths', () => {
    expect(showAll('{"message":"no checkpoint"}\n{}\n{"step":1,"timing":{"env_ms":2.5},"list":[1,NaN]}\n')).toBe(
      'MISC - no checkpoint\nMISC - No metrics\nMISC - Step: 1 | Timing / Env Ms: 2.500000 | List: [1,"NaN"]\n',
    )
  })

  it('has the labels that the user set, with units where the label names none', () => {
    const line = '{"step":1,"steps_per_second":50.5,"duration_ms":180}\n'
    expect(showAll(line)).toBe('MISC - Step: 1 | Steps per Second: 50.500000 | Duration: 180 ms\n')
    expect(showAll(line, { labels: { steps_per_second: 'SPS' } })).toContain('SPS: 50.500000')
  })

  it('cannot draw on the terminal, break its line, or show a secret of the configuration', () => {
    expect(
      showAll('{"message":"a\\n\\u001b[2Jb","step":1,"note":"\\r\\u009b1A","hub_token":"hf_0123456789abcdef"}\n'),
    ).toBe('MISC - a\\x0a\\x1b[2Jb | Step: 1 | Note: \\x0d\\x9b1A | Hub Token: [redacted]\n')
  })

  it('that the filter keeps out is not shown', () => {
    const lines = '{"level":"DEBUG","target":"a","step":1}\n{"level":"INFO","target":"a","step":2}\nplain\n'
    expect(showAll(lines, { filter: 'info' })).toBe('MISC - Step: 2\nplain\n')
  })
})

describe('other output', () => {
  it('passes through byte for byte, progress bars and broken bytes too', () => {
    const bytes = Buffer.concat([
      Buffer.from('plain\n\n{not json}\n[1,2]\n  {"step": 1, "a": 2}\n 10%|##   |\r 20%|###  |\n'),
      Buffer.from([0xff, 0xfe, 10]),
      Buffer.from('last line'),
    ])
    expect(showAll(bytes)).toBe(bytes.toString().replace('  {"step": 1, "a": 2}\n', 'MISC - Step: 1 | A: 2\n'))
  })

  it('is shown at once, before its line ends', () => {
    const console = shown()
    const pieces = [
      'Continue? [y/n] ',
      'y\n',
      '\r 10%|',
      '#',
      '\r 20%|##',
      '\r     \r',
      '{"step":1',
      ',"a":2}\n',
      '\x1b[1',
      'mbold',
    ]
    const seen = pieces.map((piece) => {
      const before = console.all.length
      console.stream.push(Buffer.from(piece))
      return console.all.slice(before)
    })
    expect(seen).toEqual([
      'Continue? [y/n] ',
      'y\n',
      '\r 10%|',
      '#',
      '\r 20%|##',
      '',
      '\r     ',
      '\rMISC - Step: 1 | A: 2\n',
      '',
      '\x1b[1mbold',
    ])
  })

  it('and events stay what they are wherever the bytes are cut', () => {
    const input = 'a\r\n{"step":1,"a":1}\r\n 10%\r 20%\r{"step":2}\r\nx\r\r\n\r\n{"step":3}\r'
    const output = 'a\r\nMISC - Step: 1 | A: 1\n 10%\r 20%\rMISC - Step: 2\nx\r\r\n\r\nMISC - Step: 3\n'
    const bytes = Buffer.from(input)
    for (let first = 0; first <= bytes.length; first += 1) {
      for (let second = first; second <= bytes.length; second += 1) {
        const console = shown()
        for (const piece of [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)])
          console.stream.push(piece)
        console.stream.end()
        expect(console.all).toBe(output)
      }
    }
  })

  it('stays the same for any way in which the bytes are cut', () => {
    const line = fc.constantFrom(
      '{"step":1,"loss":0.5}',
      'plain text',
      '{"broken": ',
      '\r 40%|####  | 2/5\r      \r{"step":2,"loss":1}',
      '\x1b[32m{"step":3,"a":1}\x1b[0m',
      '\ufeff{"step":4}',
      '',
      '  ',
      'größe {"x":1}',
      '{"step":5}\r',
    )
    fc.assert(
      fc.property(
        fc.array(line, { maxLength: 8 }),
        fc.boolean(),
        fc.array(fc.nat(40), { maxLength: 30 }),
        (lines, ends, cuts) => {
          const bytes = Buffer.from(lines.join('\n') + (ends ? '\n' : ''))
          const console = shown()
          let at = 0
          for (const cut of cuts) {
            console.stream.push(bytes.subarray(at, at + cut))
            at += Math.min(cut, bytes.length - at)
          }
          console.stream.push(bytes.subarray(at))
          console.stream.end()
          expect(console.all).toBe(showAll(bytes))
        },
      ),
    )
  })

  it('of a line too long for an event passes through whole', () => {
    const long = `{"step":1,"note":"${'x'.repeat(1 << 20)}"}\n{"step":2}\n`
    const console = shown()
    for (let at = 0; at < long.length; at += 65_536) console.stream.push(Buffer.from(long.slice(at, at + 65_536)))
    expect(console.all).toBe(long.replace('{"step":2}', 'MISC - Step: 2'))
  })
})

it('while the terminal is slow, events are counted instead of shown, and everything else still passes', () => {
  const console = shown({ unread: 2 << 20 })
  console.stream.push(Buffer.from('{"step":1,"a":1}\nTraceback\n{"step":2}\n'))
  expect([console.all, console.skipped]).toEqual(['Traceback\n', 2])
})

it('after a fault of ours, the bytes pass as they came', () => {
  const console = shown({
    point: () => {
      throw new Error('a fault')
    },
  })
  console.stream.push(Buffer.from('text\n{"st'))
  expect(() => console.stream.push(Buffer.from('ep":1,"a":1}\nmore\n{"step":2'))).toThrow('a fault')
  expect(console.all).toBe('text\n{"step":1,"a":1}\nmore\n{"step":2')
})
