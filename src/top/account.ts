import type { DestinationStatus, RunStatus } from '../journal/status.ts'
import { clock, dayAndTime } from '../chart/format.ts'
import { number } from '../telemetry/words.ts'
import type { Style } from './theme.ts'

/** A piece of a line, and how it looks. */
export type Piece = readonly [text: string, style?: Style]

const DAY = 86_400_000

/** A time of day, and of another day with its date. */
const timeOf = (ms: number, now: number): string => (Math.abs(now - ms) < DAY / 2 ? clock(ms) : dayAndTime(ms))

/** Whether a run lives, in words: `live`, or as of when what is shown holds. `now` in UTC ms. */
export function stateOf(
  run: RunStatus & { lastTime: number | null },
  now: number,
): {
  words: string
  style: 'good' | 'warn' | 'bad'
} {
  const time = run.endedAt ?? run.lastTime
  const asOf = time === null ? '' : ` as of ${timeOf(time, now)}`
  if (run.isHeld && run.endedAt === null) return { words: '● live', style: 'good' }
  if (run.isHeld) return { words: `${run.status}${asOf}, being delivered`, style: 'good' }
  if (run.status === 'finished') return { words: `finished${asOf}`, style: 'good' }
  return { words: `■ ${run.status}${asOf}`, style: run.status === 'interrupted' ? 'warn' : 'bad' }
}

/** What is pending, refused or stands still, over all destinations that count. */
export function troubleOf({ destinations }: RunStatus): { words: string; style: 'good' | 'warn' | 'bad' } {
  const ours = destinations.filter(({ state }) => state !== 'disabled')
  if (ours.length === 0) return { words: 'kept in the journal', style: 'good' }
  const sum = (of: (destination: DestinationStatus) => number): number => ours.reduce((n, each) => n + of(each), 0)
  const pending = sum(({ points, spans }) => points.pending + (spans?.pending ?? 0))
  const refused = sum(({ points, spans, params, tags }) =>
    [points, spans, params, tags].reduce((n, kind) => n + (kind?.rejected ?? 0), 0),
  )
  const suspended = ours.filter(({ state }) => state === 'suspended').length
  const words = [
    ...(suspended > 0 ? [`${suspended} suspended`] : []),
    `${number(pending)} pending`,
    `${number(refused)} refused`,
  ].join(', ')
  return { words, style: refused > 0 ? 'bad' : suspended > 0 ? 'warn' : 'good' }
}

const total = (counts: Readonly<Record<string, number>>): number => Object.values(counts).reduce((a, b) => a + b, 0)

const reasons = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .filter(([, n]) => n > 0)
    .map(([reason, n]) => `${number(n)} ${reason}`)
    .join(', ')

/** `what: n = a + b`, with `≠` in red where the sum is another. */
function equation(what: string, whole: number, terms: readonly [n: number, words: string][]): Piece[] {
  const holds = terms.reduce((sum, [n]) => sum + n, 0) === whole
  const shown = terms.filter(([n], i) => i === 0 || n > 0)
  return [
    [`${what} `, 'muted'],
    [number(whole), 'strong'],
    holds ? [' = ', 'muted'] : [' ≠ ', 'bad'],
    ...shown.flatMap(([n, words], i): Piece[] => [
      [`${i === 0 ? '' : ' + '}${number(n)} `],
      [words, words.startsWith('refused') || words.startsWith('dropped') ? 'bad' : 'muted'],
    ]),
  ]
}

/** The account of a run: what came is what became of it, line by line, for the journal and for each destination. */
export function accountLines(run: RunStatus): Piece[][] {
  const skipped = reasons(run.skipped)
  const dropped = reasons(run.dropped)
  const { spanAccount } = run
  return [
    equation('numbers received', run.received.numbers, [
      [run.points, 'points'],
      [total(run.skipped), `skipped (${skipped})`],
      [run.waiting, 'waiting for a step'],
    ]),
    equation('points', run.points, [
      [run.journaled.points, 'in the journal'],
      [run.inChannel, 'under way to it'],
      [total(run.dropped), `dropped (${dropped})`],
    ]),
    ...(spanAccount.received === 0
      ? []
      : [
          equation('spans', spanAccount.received, [
            [run.journaled.spans, 'in the journal'],
            [spanAccount.duplicate, 'duplicate'],
            [spanAccount.inChannel, 'under way to it'],
            [total(spanAccount.dropped), `dropped (${reasons(spanAccount.dropped)})`],
          ]),
        ]),
    ...run.destinations.flatMap((destination) => destinationLines(destination, run)),
  ]
}

function destinationLines(destination: DestinationStatus, run: RunStatus): Piece[][] {
  const { exporter, address, state, points, spans, lastError } = destination
  const counts = spans ?? points
  const whole = spans === null ? run.journaled.points : run.journaled.spans
  const style: Style = state === 'ok' ? 'good' : state === 'suspended' ? 'warn' : 'muted'
  return [
    [
      [`${exporter} `, 'strong'],
      [`${state} `, style],
      ...equation(spans === null ? 'points' : 'spans', whole, [
        [counts.delivered, 'delivered'],
        [counts.pending, 'pending'],
        [counts.rejected, 'refused'],
        [counts.evicted, 'dropped undelivered'],
      ]),
      [`  ${address}`, 'muted'],
    ],
    ...(lastError !== null && state !== 'ok' ? [[[`  ${lastError}`, 'warn'] as const]] : []),
  ]
}
