import { readdirSync, readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { compileRules } from '../../src/layer/rules.ts'
import { parseFilter } from '../../src/layer/filter.ts'
import { ConsoleStream } from '../../src/console/stream.ts'
import { Renderer } from '../../src/console/render.ts'
import { serializeSpans } from '../../src/otlp/readable.ts'
import { readTraces } from '../../src/otlp/traces.ts'
import { LineReader } from '../../src/receivers/lines/index.ts'
import { LineSpans, type LineSpan } from '../../src/receivers/lines/spans.ts'
import { SETTINGS } from '../../src/config/settings.ts'
import { COUNTERS, Counters } from '../../src/telemetry/counters.ts'
import type { Output } from '../../src/telemetry/output.ts'
import { Random } from '../simulation/random.ts'
import { defaultLayer, extract, RECEIVED_AT, type Extracted } from '../support/extract.ts'
import { hostileFiles, lineFixtures } from '../support/fixtures.ts'
import { mutate, mutateJson } from './mutate.ts'
import { checkEvent } from './events.ts'
import { law, type Target } from './target.ts'

/** Every recorded line once, and the hostile ones that are not too long to be changed many times. */
const linesOf = (bytes: Buffer): Buffer[] =>
  bytes
    .toString('latin1')
    .split('\n')
    .map((line) => Buffer.from(line, 'latin1'))
    .filter(({ length }) => length > 0 && length < 10_000)

const recordedLines = lineFixtures.flatMap(({ bytes }) => linesOf(bytes).slice(0, 200))
const hostileLines = hostileFiles.flatMap(({ bytes }) => linesOf(bytes).slice(0, 50))
const spanLines = recordedLines.filter((line) => line.includes('"span'))

const NEWLINE = Buffer.from('\n')

/** What a pipe or a file gives at a time. Short lines that are broken and short rows of tables take the longest: 10 us each. */
const MAX_INPUT_BYTES = 65_536

/** A few lines, one of them at least changed. */
function someLines(random: Random, lines: readonly Buffer[]): Buffer {
  const some = Array.from({ length: random.long(1, 6) }, () => {
    const line = random.chance(0.1) ? random.of(hostileLines) : random.of(lines)
    return random.chance(0.4) ? Buffer.from(mutateJson(line.toString(), random)) : line
  })
  const joined = Buffer.concat(some.flatMap((line) => [line, NEWLINE]))
  return (random.chance(0.7) ? mutate(joined, random, random.of(lines)) : joined).subarray(0, MAX_INPUT_BYTES)
}

/** Cuts bytes into pieces, the same ones for the same bytes. */
function cut(bytes: Buffer): Buffer[] {
  const random = new Random(bytes.length * 256 + (bytes[bytes.length >> 1] ?? 0))
  const pieces: Buffer[] = []
  for (let from = 0; from < bytes.length;) {
    const to = from + (bytes.length < 2000 ? random.long(1, 100) : random.long(1, 100_000))
    pieces.push(bytes.subarray(from, to))
    from = to
  }
  return pieces
}

const sum = (counts: Extracted['counts'], prefix: string): number =>
  Object.entries(counts).reduce((total, [name, n]) => total + (name.startsWith(prefix) ? n : 0), 0)

function checkExtracted(found: Extracted): void {
  const { counts, points, keys } = found
  for (const event of found.events) checkEvent(event)
  law(
    (counts['received.numbers'] ?? 0) === (counts['points'] ?? 0) + sum(counts, 'skipped.'),
    'numbers = points + skipped',
  )
  law((counts['points'] ?? 0) === points.length, 'every point that is counted is there')
  law(
    (counts['received.lines'] ?? 0) >= (counts['received.events'] ?? 0) + sum(counts, 'not_events.'),
    'lines >= events + others',
  )
  law(
    points.every(({ step, time }) => Number.isSafeInteger(step) && Number.isFinite(time)),
    'steps and times are numbers',
  )
  law(
    keys.every((key) => Buffer.byteLength(key) <= 1024 && key.isWellFormed()),
    'keys are sound',
  )
}

const lines: Target = {
  name: 'lines',
  share: 1000,
  readings: 2,
  make: (random) => someLines(random, recordedLines),
  read: (input) => {
    const whole = extract(input)
    checkExtracted(whole)
    law(isDeepStrictEqual(extract(input, { cut }), whole), 'where the input is cut changes nothing')
    return 'read'
  },
}

/** One line many times, each with other values, some with other kinds of value, some broken. */
function repeatedLines(random: Random): Buffer {
  const line = random.of(recordedLines).toString()
  const again = Array.from({ length: random.long(2, 20) }, () => {
    const next = line.replaceAll(/(?<=:\s*)-?\d[\d.eE+-]*/g, (number) =>
      random.chance(0.3) ? number : random.chance(0.2) ? random.of(ODD_NUMBERS) : String(random.next() * 1000),
    )
    return Buffer.from(random.chance(0.2) ? mutateJson(next, random) : next)
  })
  const joined = Buffer.concat(again.flatMap((each) => [each, NEWLINE]))
  return (random.chance(0.3) ? mutate(joined, random, random.of(recordedLines)) : joined).subarray(0, MAX_INPUT_BYTES)
}

const ODD_NUMBERS = [
  '-0',
  '0',
  '1e5',
  '1E-7',
  '7.0',
  '1e400',
  '01',
  '1.',
  '-',
  'null',
  '"7"',
  'true',
  '[7]',
  '{"a":7}',
  'NaN',
  '9007199254740993',
  '-9007199254740992',
  '12345678901234567890',
  '0.30000000000000004',
  '5e-324',
  '1795322750.083',
  '2.5',
] as const

const repeats: Target = {
  name: 'repeated-lines',
  share: 250,
  readings: 3,
  make: repeatedLines,
  read: (input) => {
    const whole = extract(input)
    checkExtracted(whole)
    law(
      isDeepStrictEqual(whole, extract(input, { isParsed: true })),
      'lines like others become what parsing makes of them',
    )
    law(isDeepStrictEqual(extract(input, { cut }), whole), 'where the input is cut changes nothing')
    return 'read'
  },
}

const PRESET_FILES = readdirSync(new URL('../fixtures/presets/', import.meta.url)).map((name) =>
  readFileSync(new URL(`../fixtures/presets/${name}`, import.meta.url)),
)

const PRESETS = ['auto', 'csv', 'hf'] as const

/** What frameworks write, changed here and there: as a whole, and line by line among others. */
const presets: Target = {
  name: 'presets',
  share: 500,
  readings: 2,
  make: (random) => {
    const file = random.of(PRESET_FILES)
    const joined = random.chance(0.3) ? Buffer.concat([file, random.of(PRESET_FILES)]) : file
    if (random.chance(0.2)) return someLines(random, linesOf(joined))
    return mutate(joined, random, random.of(recordedLines)).subarray(0, MAX_INPUT_BYTES)
  },
  read: (input) => {
    // The same one for the same bytes.
    const preset = PRESETS[new Random(input.length).whole(0, PRESETS.length - 1)]!
    const whole = extract(input, { preset })
    checkExtracted(whole)
    law(isDeepStrictEqual(extract(input, { preset, cut }), whole), 'where the input is cut changes nothing')
    return 'read'
  },
}

const rules = compileRules(defaultLayer)
const wrappers = SETTINGS['layer.wrappers'].default
const filter = { all: null, rust: parseFilter('info,ppo=debug') }
const nowhere = { series: () => {}, point: () => {}, params: () => {}, example: () => {}, event: () => {} }

function checkSpans(spans: readonly LineSpan[]): void {
  const read = readTraces(serializeSpans(spans, { 'service.name': 'fuzz' }), { integerText: 'never' })
  law(read.length === spans.length, 'every span can be read again')
  for (const [i, { traceId, spanId, parentSpanId }] of spans.entries()) {
    const { traceId: trace, spanId: id, parentSpanId: parent } = read[i]!
    law(trace === traceId && id === spanId && parent === (parentSpanId ?? ''), 'ids stay what they are')
  }
  law(
    spans.every(({ startMs, endMs }) => endMs >= startMs),
    'no span ends before it begins',
  )
  const ids = new Set(spans.map(({ spanId }) => spanId))
  law(ids.size === spans.length, 'every span ends once')
  law(
    spans.every(({ parentSpanId }) => parentSpanId === null || ids.has(parentSpanId)),
    'all have ended',
  )
}

const lineSpans: Target = {
  name: 'line-spans',
  share: 250,
  make: (random) => someLines(random, spanLines),
  read: (input) => {
    const made: LineSpan[] = []
    const spans = new LineSpans('01FUZZ', rules.stepFields.flat(), (span) => made.push(span))
    const stream = new LineReader({ rules, wrappers, filter, spans }, nowhere, new Counters()).stream(() => RECEIVED_AT)
    stream.push(input)
    stream.end()
    spans.end()
    checkSpans(made)
    return 'read'
  },
}

/** What a terminal gets to see, and what was counted. */
function rendered(pieces: readonly Buffer[]): { shown: Buffer; counts: Float64Array } {
  const shown: Buffer[] = []
  const output = {
    unread: 0,
    stands: () => false,
    write: (bytes: Buffer) => void shown.push(bytes),
  } as unknown as Output
  const counters = new Counters()
  const reader = new LineReader({ rules, wrappers, filter }, nowhere, counters)
  const stream = new ConsoleStream({
    renderer: new Renderer({ rules, labels: { loss: 'Loss' }, colour: true }),
    text: output,
    events: output,
    onSkipped: () => {},
    open: (tap) => reader.stream(() => RECEIVED_AT, tap),
  })
  for (const each of pieces) stream.push(each)
  stream.end()
  return { shown: Buffer.concat(shown), counts: counters.values }
}

const EVENTS = COUNTERS.indexOf('received.events')

/** Colour codes and blanks of this length before an event are taken for text where they come in pieces. */
const LONG_NOISE = 256
// oxlint-disable-next-line no-control-regex -- the escape character is what is looked for
const NOISE = /(?:\s|\xEF\xBB\xBF|\x1b\[[0-?]*[ -/]*[@-~])+/g

const hasLongNoise = (input: Buffer): boolean =>
  (input.toString('latin1').match(NOISE) ?? []).some(({ length }) => length >= LONG_NOISE)

const consoleStream: Target = {
  name: 'console',
  share: 250,
  make: (random) => someLines(random, recordedLines),
  read: (input) => {
    const whole = rendered([input])
    if (!hasLongNoise(input))
      law(isDeepStrictEqual(rendered(cut(input)), whole), 'where the input is cut changes nothing that is shown')
    if (whole.counts[EVENTS] === 0) law(whole.shown.equals(input), 'what is no event passes as it is')
    return 'read'
  },
}

export const LINE_TARGETS: readonly Target[] = [lines, repeats, presets, lineSpans, consoleStream]
