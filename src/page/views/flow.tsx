import type { JSX } from 'preact'
import type { RunSummary } from '../../web/api.ts'
import { count } from '../../chart/format.ts'
import { reasonOf } from './reasons.ts'

const COLUMN = [0, 265, 530, 795] as const
const BAR = 12
const TALL = 108
const TOP = 26
/** Height of a side branch with its label. */
const BRANCH = 32

const sum = (counts: Readonly<Record<string, number>>): number => Object.values(counts).reduce((a, b) => a + b, 0)

interface Side {
  n: number
  text: string
  kind: 'muted' | 'warn' | 'bad'
}

/** A destination takes points unless it is one for spans alone. */
export const takesPoints = ({ points, spans }: RunSummary['destinations'][number]): boolean =>
  spans === null || points.delivered + points.rejected + points.evicted + points.pending > 0

/** The conservation law as a picture: every number that came is on one of the ways, as thick as there are many. */
export function Flow({ run }: { run: RunSummary }): JSX.Element {
  const { received, skipped, waiting, points, inChannel, dropped, journaled } = run
  const share = TALL / Math.max(1, received.numbers)
  const height = (n: number): number => (n === 0 ? 0 : Math.max(2, n * share))
  const fromReceived: Side[] = [
    ...Object.entries(skipped).map(([reason, n]): Side => ({ n, text: shortReason(reason), kind: 'muted' })),
    { n: waiting, text: 'waiting for their step', kind: 'warn' },
  ]
  const fromPoints: Side[] = [
    { n: inChannel, text: 'on the way to the disk', kind: 'muted' },
    ...Object.entries(dropped).map(([reason, n]): Side => ({ n, text: shortReason(reason), kind: 'bad' })),
  ]
  const sides = [fromReceived, fromPoints].map((all) => all.filter(({ n }) => n > 0))
  const targets = run.destinations.filter(takesPoints)
  const each = Math.max(34, TALL / Math.max(1, targets.length))
  const tall = Math.max(
    TOP + TALL + 20 + Math.max(...sides.map((side) => side.length)) * BRANCH,
    TOP + targets.length * (each + 46),
  )
  return (
    <svg class="flow" viewBox={`0 0 1000 ${tall}`} role="img" aria-label={inWords(run)}>
      <Band from={[COLUMN[0] + BAR, TOP, height(points)]} to={[COLUMN[1], TOP, height(points)]} />
      <Band from={[COLUMN[1] + BAR, TOP, height(journaled.points)]} to={[COLUMN[2], TOP, height(journaled.points)]} />
      <Node x={COLUMN[0]} h={height(received.numbers)} n={received.numbers} text="numbers received" />
      <Node x={COLUMN[1]} h={height(points)} n={points} text="points with a step" />
      <Node x={COLUMN[2]} h={height(journaled.points)} n={journaled.points} text="written to disk" />
      <Sides all={sides[0]!} x={COLUMN[0]} start={TOP + height(points)} height={height} />
      <Sides all={sides[1]!} x={COLUMN[1]} start={TOP + height(journaled.points)} height={height} />
      {targets.map((target, i) => (
        <Target key={i} target={target} y={TOP + i * (each + 46)} tall={each} from={height(journaled.points)} />
      ))}
      {targets.length === 0 && (
        <text x={COLUMN[3]} y={TOP + 14} class="muted">
          no tracker is set
        </text>
      )}
    </svg>
  )
}

const SHORT: Readonly<Record<string, string>> = {
  no_step: 'without a step',
  config: 'settings, kept as params',
  filtered: 'kept out by the filter',
  duplicate: 'came twice',
  step_out_of_range: 'step too large',
  key_too_long: 'name too long',
  series_cap: 'too many metrics',
  too_deep: 'nested too deeply',
  invalid_key: 'name is no text',
  channel_full: 'lost: the disk was too slow',
  journal_full: 'lost: no room',
}
const shortReason = (reason: string): string => SHORT[reason] ?? reasonOf(reason).text

function Node({ x, h, n, text }: { x: number; h: number; n: number; text: string }): JSX.Element {
  return (
    <g>
      <rect class="bar" x={x} y={TOP} width={BAR} height={Math.max(2, h)} rx="2" />
      <text x={x} y={TOP - 9}>
        <tspan class="n">{count(n)}</tspan> {text}
      </text>
    </g>
  )
}

type End = readonly [x: number, y: number, height: number]

/** What goes from one bar to the next. */
function Band({ from, to, kind = '' }: { from: End; to: End; kind?: string }): JSX.Element {
  const [x0, y0, h0] = from
  const [x1, y1, h1] = to
  const m = (x0 + x1) / 2
  return (
    <path
      class={`band ${kind}`}
      d={`M${x0} ${y0}C${m} ${y0} ${m} ${y1} ${x1} ${y1}v${h1}C${m} ${y1 + h1} ${m} ${y0 + h0} ${x0} ${y0 + h0}z`}
    />
  )
}

/** What leaves the way before the next bar, one under the other. */
function Sides(props: { all: readonly Side[]; x: number; start: number; height: (n: number) => number }): JSX.Element {
  let from = props.start
  return (
    <>
      {props.all.map(({ n, text, kind }, i) => {
        const h = props.height(n)
        const y = TOP + TALL + 18 + i * BRANCH
        const x = props.x + 62
        const band = <Band from={[props.x + BAR, from, h]} to={[x, y, Math.min(h, 20)]} kind={kind} />
        from += h
        return (
          <g key={text}>
            {band}
            <rect class={`bar ${kind}`} x={x} y={y} width="4" height={Math.max(2, Math.min(h, 20))} rx="1" />
            <text x={x + 10} y={y + 8} class={kind}>
              <tspan class="n">{count(n)}</tspan> {text}
            </text>
          </g>
        )
      })}
    </>
  )
}

const STATES: Readonly<Record<string, string>> = { suspended: 'does not answer', disabled: 'replaced' }

const PARTS = [
  ['delivered', 'delivered', 'good'],
  ['pending', 'pending', 'warn'],
  ['rejected', 'refused', 'bad'],
  ['evicted', 'lost before it was sent', 'bad'],
] as const

function Target(props: {
  target: RunSummary['destinations'][number]
  y: number
  tall: number
  from: number
}): JSX.Element {
  const { target, y, tall, from } = props
  const whole = PARTS.reduce((n, [part]) => n + target.points[part], 0)
  const isOff = target.state === 'disabled'
  let at = y
  return (
    <g class={isOff ? 'off' : ''}>
      <Band
        from={[COLUMN[2] + BAR, TOP, from]}
        to={[COLUMN[3], y, whole === 0 ? 2 : tall]}
        kind={isOff ? 'muted' : ''}
      />
      {PARTS.map(([part, , kind]) => {
        const n = target.points[part]
        if (n === 0) return null
        const h = Math.max(3, (n / whole) * tall)
        const bar = <rect key={part} class={`bar ${kind}`} x={COLUMN[3]} y={at} width={BAR} height={h} />
        at += h
        return bar
      })}
      <text x={COLUMN[3]} y={y - 9}>
        <tspan class="n">{target.exporter}</tspan> {STATES[target.state]}
      </text>
      {PARTS.filter(([part]) => target.points[part] > 0).map(([part, text, kind], i) => (
        <text key={part} x={COLUMN[3] + BAR + 8} y={y + 12 + i * 17} class={kind}>
          <tspan class="n">{count(target.points[part])}</tspan> {text}
        </text>
      ))}
    </g>
  )
}

function inWords({ received, skipped, waiting, points, dropped, journaled, destinations }: RunSummary): string {
  const ends = destinations
    .filter(takesPoints)
    .map(
      ({ exporter, points: n }) =>
        `${exporter}: ${count(n.delivered)} delivered, ${count(n.pending)} pending, ${count(n.rejected)} refused, ${count(n.evicted)} lost`,
    )
  return `${count(received.numbers)} numbers received, ${count(sum(skipped))} skipped, ${count(waiting)} waiting; ${count(points)} points, ${count(sum(dropped))} dropped, ${count(journaled.points)} on disk. ${ends.join('. ')}`
}
