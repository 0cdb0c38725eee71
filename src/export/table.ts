/** What a column holds: `time` is UTC milliseconds, `number` any double, null nothing. */
export type ColumnType = 'text' | 'integer' | 'time' | 'number'

export interface Column {
  name: string
  type: ColumnType
}

export type Cell = string | number | null

/** Some rows of a table, column by column. */
export interface Batch {
  count: number
  columns: readonly (readonly Cell[])[]
}

/** Rows with names. `batches` reads as it goes and holds one batch at a time. */
export interface Table {
  columns: readonly Column[]
  batches: Iterable<Batch>
}

/** Where bytes go. */
export interface Sink {
  /** Resolves when there is room for more; false: nobody takes them any more. */
  write(bytes: Uint8Array): Promise<boolean>
}
