import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Random } from '../simulation/random.ts'
import type { Target } from './target.ts'
import type { Watch } from './watch.ts'

/** Longest that one reading of an input may take, in milliseconds of our thread. */
export const LONGEST_MS = 100

/** Most memory that all of it may take, looked at behind each target. */
const MAX_RSS_BYTES = 3 * 2 ** 29

/** Failing inputs up to this are shown, longer ones kept in a file. */
const MAX_SHOWN_BYTES = 2000

/** What the inputs of one target came to. */
export interface Tally {
  inputs: number
  refused: number
  slowestMs: number
  /** All of them together, with what it takes to make them. */
  ms: number
}

export const noTally = (): Tally => ({ inputs: 0, refused: 0, slowestMs: 0, ms: 0 })

/** An input that is against a law; the message tells how to see it again. */
export class FuzzFailure extends Error {}

export interface RoundOptions {
  targets: readonly Target[]
  seed: number
  /** Counts up; with the seed it decides the inputs. */
  round: number
  /** Of a whole round, as a share of 1. */
  part?: number
  watch?: Watch
}

/** Every target reads the inputs of one round. @throws FuzzFailure at the first one that is against a law */
export async function runRound(
  { targets, seed, round, part = 1, watch }: RoundOptions,
  tallies: Map<string, Tally>,
): Promise<void> {
  for (const target of targets) {
    const tally = tallies.get(target.name) ?? noTally()
    tallies.set(target.name, tally)
    const from = performance.now()
    for (let i = Math.ceil(target.share * part); i > 0; i -= 1) {
      const random = new Random(inputSeed(target.name, seed, round, i))
      watch?.begin(`${target.name}, seed ${seed}, round ${round}, input ${i}`)
      await runInput(target, target.make(random), tally, `--target ${target.name} --seed ${seed}`)
    }
    tally.ms += performance.now() - from
    const rss = process.memoryUsage.rss()
    if (rss > MAX_RSS_BYTES)
      throw new FuzzFailure(
        `${target.name}: ${(rss / 2 ** 20).toFixed(0)} MiB of memory (--seed ${seed}, round ${round})`,
      )
  }
}

/** Reads one input and holds it against the laws. @throws FuzzFailure */
export async function runInput(target: Target, input: Buffer, tally: Tally, how: string): Promise<void> {
  tally.inputs += 1
  try {
    const from = performance.now()
    const outcome = target.read(input)
    if ((typeof outcome === 'string' ? outcome : await outcome) === 'refused') tally.refused += 1
    let ms = (performance.now() - from) / (target.readings ?? 1)
    // Others run here, too: again, and by the time that our own thread needs.
    if (ms > LONGEST_MS) ms = Math.min(await threadMs(target, input), await threadMs(target, input))
    tally.slowestMs = Math.max(tally.slowestMs, ms)
    if (ms > LONGEST_MS) throw new Error(`took ${ms.toFixed(0)} ms, ${LONGEST_MS} are the most`)
  } catch (error) {
    throw new FuzzFailure(`${target.name}: ${(error as Error).message}\n${how}\n${kept(target, input)}`, {
      cause: error,
    })
  }
}

async function threadMs(target: Target, input: Buffer): Promise<number> {
  const before = process.threadCpuUsage()
  await target.read(input)
  const { user, system } = process.threadCpuUsage(before)
  return (user + system) / 1000 / (target.readings ?? 1)
}

/** The input where it can be read again, by `--replay`. */
function kept({ name }: Target, input: Buffer): string {
  const path = join(mkdtempSync(join(tmpdir(), 'spanbridge-fuzz-')), `${name}.input`)
  writeFileSync(path, input)
  const shown = input.length <= MAX_SHOWN_BYTES ? `\nbase64: ${input.toString('base64')}` : ''
  return `again: node test/long/fuzz.ts --target ${name} --replay ${path}${shown}`
}

/** Decides one input: the name's hash, so that another target beside it changes nothing. */
function inputSeed(name: string, seed: number, round: number, i: number): number {
  let hash = 0x811c9dc5
  for (const part of [name, seed, round, i].join('/')) hash = Math.imul(hash ^ part.charCodeAt(0), 0x01000193)
  return (hash >>> 0) * 2 ** 20 + (i % 2 ** 20)
}
