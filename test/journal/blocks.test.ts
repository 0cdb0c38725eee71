import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CHUNK_POINTS, columnsOf, POINT_BYTES, type Columns } from '../../src/channel/chunk.ts'
import { copyColumns, joinChunks, pointsOfBlock, type Chunk } from '../../src/journal/blocks.ts'
import { Scratch } from '../../src/channel/scratch.ts'

const MAX_BLOCK_POINTS = 32_768
const COLUMNS = ['value', 'step', 'time', 'series'] as const

/** Chunks of so many points, numbered through from 0: no column is like another. */
function numbered(counts: readonly number[]): Chunk[] {
  let next = 0
  return counts.map((count) => {
    const buffer = new ArrayBuffer(CHUNK_POINTS * POINT_BYTES)
    fill(columnsOf(buffer, CHUNK_POINTS), 0, next, count)
    next += count
    return { buffer, count }
  })
}

function fill({ value, step, time, series }: Columns, at: number, first: number, count: number): void {
  for (let i = 0; i < count; i += 1) {
    value[at + i] = -(first + i)
    step[at + i] = 2 * (first + i)
    time[at + i] = 0.5 + first + i
    series[at + i] = 7 * (first + i)
  }
}

/** What the columns of points `first` to `first + count - 1` have to be. */
function wanted(first: number, count: number): ArrayBuffer {
  const buffer = new ArrayBuffer(count * POINT_BYTES)
  fill(columnsOf(buffer, count), 0, first, count)
  return buffer
}

const isSame = (a: Uint8Array, b: ArrayBuffer): boolean => Buffer.compare(a, new Uint8Array(b)) === 0

describe('chunks that are joined', () => {
  it('become blocks of 32,768 points and one of the rest, with every point in its place', () => {
    const count = fc.oneof(fc.constant(CHUNK_POINTS), fc.integer({ min: 1, max: CHUNK_POINTS }))
    // The same for all: what was in it before is in no block.
    const scratch = new Scratch()
    fc.assert(
      fc.property(fc.array(count, { maxLength: 80, size: 'max' }), (counts) => {
        const points = counts.reduce((a, b) => a + b, 0)
        const blocks = [...joinChunks(numbered(counts), points, scratch)]
        const full = Math.floor(points / MAX_BLOCK_POINTS)
        const rest = points % MAX_BLOCK_POINTS
        expect(blocks.map((block) => block.count)).toEqual([
          ...Array.from({ length: full }, () => MAX_BLOCK_POINTS),
          ...(rest > 0 ? [rest] : []),
        ])
        for (const [i, { data, columns, count: length }] of blocks.entries()) {
          expect(isSame(data, wanted(i * MAX_BLOCK_POINTS, length))).toBe(true)
          expect(columns.value.buffer === data.buffer).toBe(true)
          expect([columns.value.byteOffset, columns.series.length]).toEqual([data.byteOffset, length])
        }
      }),
      { numRuns: 20, examples: [[Array.from({ length: 70 }, () => CHUNK_POINTS)]] },
    )
  })

  it('are copied from and to any place, column by column', () => {
    const source = columnsOf(wanted(0, 10), 10)
    const target = columnsOf(new ArrayBuffer(20 * POINT_BYTES), 20)
    copyColumns(source, 3, target, 11, 4)
    for (const name of COLUMNS) {
      const copied = Array.from(target[name])
      expect(copied.slice(11, 15), name).toEqual(Array.from(source[name].subarray(3, 7)))
      expect([...copied.slice(0, 11), ...copied.slice(15)].every((each) => each === 0)).toBe(true)
    }
  })
})

describe('a row of blocks', () => {
  it('is read as its points, wherever its bytes begin', () => {
    const bytes = new Uint8Array(5 * POINT_BYTES + 1)
    bytes.set(new Uint8Array(wanted(40, 5)), 1)
    const block = pointsOfBlock({ first: 41, count: 5, data: bytes.subarray(1) }, 'x.sqlite')
    expect([block.first, block.count]).toEqual([41, 5])
    const columns = columnsOf(wanted(40, 5), 5)
    for (const name of COLUMNS) expect(block[name]).toEqual(columns[name])
  })

  it.each([
    [{ first: 4, count: 3, data: null }, 'the block of point 4 has 0 bytes for 3 points of 28'],
    [{ first: 4, count: 0, data: null }, 'the block of point 4 has 0 bytes for 0 points of 28'],
    [{ first: 4, count: 0, data: new Uint8Array() }, 'the block of point 4 has 0 bytes for 0 points of 28'],
    [{ first: 4, count: 3, data: new Uint8Array(83) }, 'the block of point 4 has 83 bytes for 3 points of 28'],
    [{ first: 4, count: 3, data: 'x'.repeat(84) }, 'the block of point 4 has 0 bytes for 3 points of 28'],
    [{ first: -1, count: 3, data: null }, 'expected a count as the first point of a block, got -1'],
    [{ first: 4, count: 1.5, data: null }, 'expected a count as points in the block of point 4, got 1.5'],
  ])('is no block where it cannot be: %o', (row, words) => {
    expect(() => pointsOfBlock(row, 'x.sqlite')).toThrow(new Error(`x.sqlite is damaged: ${words}`))
  })
})
