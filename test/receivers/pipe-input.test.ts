import fc from 'fast-check'
import { closeSync, createWriteStream, writeSync, type WriteStream } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { openPipes } from '../../src/receivers/exec/pipes.ts'
import { PipeInput } from '../../src/receivers/pipe-input.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'performance'] }))
afterEach(() => void vi.useRealTimers())

/** A pipe that is read, and what it has given so far. */
function open(mayRest = true): { input: PipeInput; write: number; given: string[] } {
  const [pipe] = openPipes(1)!
  const input = new PipeInput(pipe!.read)
  if (mayRest) input.startResting()
  const given: string[] = []
  input.on('data', (chunk) => given.push(chunk.toString('latin1')))
  return { input, write: pipe!.write, given }
}

/** Turns of the loop until something holds. */
async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; !holds(); turn += 1) {
    if (turn > 100_000) throw new Error('it never came to hold')
    await setImmediate()
  }
}

const isResting = (): boolean => vi.getTimerCount() > 0

it('is woken by the first of many lines, and takes the others at once', async () => {
  const { write, given } = open()
  writeSync(write, 'first\n')
  await until(isResting)
  for (const line of ['second\n', 'third\n', 'fourth\n']) {
    writeSync(write, line)
    await setImmediate()
  }
  expect(given).toEqual([])
  vi.advanceTimersByTime(1)
  expect(given).toEqual(['first\n'])
  await until(isResting)
  vi.advanceTimersByTime(1)
  expect(given).toEqual(['first\n', 'second\nthird\nfourth\n'])
  closeSync(write)
})

it('gives the lines of a writer that is slower than rests at once, but for the first', async () => {
  const { write, given } = open()
  for (const [i, line] of ['first\n', 'second\n', 'third\n'].entries()) {
    vi.advanceTimersByTime(5)
    writeSync(write, line)
    await until(() => (i === 0 ? isResting() : given.length > i))
    expect(isResting()).toBe(i === 0)
    vi.advanceTimersByTime(1)
  }
  expect(given).toEqual(['first\n', 'second\n', 'third\n'])
  closeSync(write)
})

it('rests between the reads of a writer that has been faster than rests for a while', async () => {
  const { write, given } = open()
  vi.advanceTimersByTime(5)
  writeSync(write, 'first\n')
  await until(isResting)
  vi.advanceTimersByTime(6)
  writeSync(write, 'slow\n')
  await until(() => given.length > 1)
  for (let quick = 0; quick < 32; quick += 1) {
    writeSync(write, 'quick\n')
    await until(() => given.length > quick + 2)
  }
  expect(isResting()).toBe(false)
  writeSync(write, 'held\n')
  await until(isResting)
  expect(given.at(-1)).toBe('quick\n')
  closeSync(write)
})

it('gives each line at once until it may rest', async () => {
  const { write, given } = open(false)
  writeSync(write, 'first\n')
  await until(() => given.length > 0)
  expect(isResting()).toBe(false)
  closeSync(write)
})

it('reads on at once while much comes', async () => {
  const { write, given } = open()
  writeSync(write, 'x'.repeat(16 << 10))
  await until(() => given.length > 0)
  expect(isResting()).toBe(false)
  closeSync(write)
})

it('has given all that it has read once it is paused, and reads nothing until it is resumed', async () => {
  const { input, write, given } = open()
  writeSync(write, 'first\n')
  await until(isResting)
  input.pause()
  expect(given).toEqual(['first\n'])
  writeSync(write, 'second\n')
  vi.advanceTimersByTime(1)
  await setImmediate()
  vi.advanceTimersByTime(1)
  expect(given).toEqual(['first\n'])
  input.resume()
  await until(isResting)
  vi.advanceTimersByTime(1)
  expect(given).toEqual(['first\n', 'second\n'])
  closeSync(write)
})

it('ends when the pipe does, behind the last bytes', async () => {
  const { input, write, given } = open()
  const ends: string[] = []
  input.on('end', () => ends.push(given.join('')))
  writeSync(write, 'last words')
  closeSync(write)
  await until(() => {
    vi.advanceTimersByTime(1)
    return ends.length > 0
  })
  expect(ends).toEqual(['last words'])
  expect(input.hasEnded).toBe(true)
})

const write = (stream: WriteStream, text: string): Promise<void> =>
  new Promise((resolve) => void stream.write(text, 'latin1', () => resolve()))

it('gives each byte once and in order, however it is written, paused and resumed', async () => {
  const lengths = fc.oneof(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 200_000 }))
  const action = fc.constantFrom('pause', 'resume', 'rest', 'turn', 'write')
  const acts = fc.array(fc.tuple(action, lengths), { minLength: 1, maxLength: 40 })
  await fc.assert(
    fc.asyncProperty(acts, async (acts) => {
      const { input, write: fd, given } = open()
      let hasEnded = false
      input.on('end', () => (hasEnded = true))
      const stream = createWriteStream('', { fd })
      const written: string[] = []
      const writes: Promise<void>[] = []
      for (const [i, [act, length]] of acts.entries()) {
        if (act === 'pause') input.pause()
        else if (act === 'resume') input.resume()
        else if (act === 'rest') vi.advanceTimersByTime(1)
        else if (act === 'turn') await setImmediate()
        else {
          const text = String.fromCharCode(97 + (i % 26)).repeat(length)
          written.push(text)
          writes.push(write(stream, text))
        }
      }
      input.resume()
      stream.end()
      await until(() => {
        vi.advanceTimersByTime(1)
        return hasEnded
      })
      await Promise.all(writes)
      expect(given.join('')).toBe(written.join(''))
    }),
    { numRuns: 100 },
  )
})
