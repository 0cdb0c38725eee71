import { ByteWriter, ParquetWriter, type SchemaElement } from 'hyparquet-writer'
import type { Cell, Column, Sink, Table } from './table.ts'

/** Rows of a row group: what is held in memory, twice. */
const GROUP = 100_000

const TIMESTAMP = { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MILLIS' } as const

function elementOf({ name, type }: Column): SchemaElement {
  const base = { name, repetition_type: 'OPTIONAL' } as const
  if (type === 'text') return { ...base, type: 'BYTE_ARRAY', converted_type: 'UTF8' }
  if (type === 'number') return { ...base, type: 'DOUBLE' }
  return { ...base, type: 'INT64', ...(type === 'time' ? { logical_type: TIMESTAMP } : {}) }
}

const valueOf = (cell: Cell, { type }: Column): string | number | bigint | null =>
  typeof cell === 'number' && type !== 'number' ? BigInt(Math.floor(cell)) : cell

/** Writes rows as Parquet, Snappy-packed, one row group at a time. */
export async function writeParquet({ columns, batches }: Table, sink: Sink): Promise<void> {
  const bytes = new ByteWriter()
  const flush = async (): Promise<boolean> => {
    const taken = new Uint8Array(bytes.getBuffer())
    bytes.index = 0
    return sink.write(taken)
  }
  const schema: SchemaElement[] = [{ name: 'root', num_children: columns.length }, ...columns.map(elementOf)]
  const writer = new ParquetWriter({ writer: bytes, schema, createdBy: 'spanbridge' })
  let group: Cell[][] = columns.map(() => [])
  const write = async (): Promise<boolean> => {
    const columnData = columns.map((column, i) => ({
      name: column.name,
      data: group[i]!.map((cell) => valueOf(cell, column)),
      // A dictionary takes -0 for 0.
      ...(column.type === 'number' ? { encoding: 'PLAIN' as const } : {}),
    }))
    group = columns.map(() => [])
    await writer.write({ columnData, rowGroupSize: GROUP * 2 })
    return flush()
  }
  for (const batch of batches) {
    for (const [i, cells] of batch.columns.entries()) for (const cell of cells) group[i]!.push(cell)
    if (group[0]!.length >= GROUP && !(await write())) return
  }
  if (group[0]!.length > 0 && !(await write())) return
  await writer.finish()
  await flush()
}
