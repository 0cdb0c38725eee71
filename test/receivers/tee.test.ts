import { PassThrough } from 'node:stream'
import { expect, it } from 'vitest'
import { Tee, type TeeSink } from '../../src/receivers/tee.ts'

/** A tee whose input has had `kept` before anybody said where to, and what its output got. */
async function teeWith(
  kept: readonly string[],
): Promise<{ tee: Tee; input: PassThrough; out: string[]; output: never }> {
  const input = new PassThrough()
  const tee = new Tee(input)
  for (const chunk of kept) {
    input.write(chunk)
    await new Promise((resolve) => setImmediate(resolve))
  }
  const out: string[] = []
  const output = { unread: 0, onProgress: null, write: (bytes: Buffer) => void out.push(bytes.toString()) }
  return { tee, input, out, output: output as never }
}

/** Renders in capitals, keeps the last chunk back, and fails on `poison`. */
function sink(out: string[], poison: string): TeeSink {
  let held = ''
  return {
    push: (chunk) => {
      const text = chunk.toString()
      if (text === poison) {
        out.push(text)
        throw new Error('a fault')
      }
      if (held !== '') out.push(held.toUpperCase())
      held = text
    },
    end: () => {},
    isFull: () => false,
    whenRoom: () => {},
    release: () => {
      if (held !== '') out.push(held)
      held = ''
    },
  }
}

it('passes on everything that it kept when the one that renders fails on the first of it', async () => {
  const { tee, input, out, output } = await teeWith(['a', 'b', 'c'])
  tee.renderTo(output)
  tee.attach(sink(out, 'a'))
  input.write('d')
  await new Promise((resolve) => setImmediate(resolve))
  expect(out.join('')).toBe('abcd')
})

it('shows what is held back when the one that renders is let go', async () => {
  const { tee, input, out, output } = await teeWith(['a'])
  tee.renderTo(output)
  tee.attach(sink(out, 'never'))
  tee.attach(null)
  input.end('b')
  await tee.ended
  expect(out.join('')).toBe('ab')
})

it('that has been stopped reads nothing more, although its output gets on', async () => {
  const { tee, input, out, output } = await teeWith([])
  tee.passTo(output)
  tee.attach(null)
  const progress = output as { unread: number; onProgress: () => void }
  progress.unread = 5 << 20
  input.write('a')
  await new Promise((resolve) => setImmediate(resolve))
  tee.stop()
  progress.unread = 0
  progress.onProgress()
  input.write('b')
  await new Promise((resolve) => setImmediate(resolve))
  expect(out.join('')).toBe('a')
})
