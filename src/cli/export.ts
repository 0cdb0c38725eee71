import { extname } from 'node:path'
import { isatty } from 'node:tty'
import { eventTable, pairTable, pointTable, spanTable } from '../export/rows.ts'
import { FileSink, outputSink } from '../export/sinks.ts'
import type { Sink, Table } from '../export/table.ts'
import { writeCsv, writeJsonl } from '../export/text.ts'
import { wideTable } from '../export/wide.ts'
import type { Context } from './app.ts'
import { EXIT } from './exit-codes.ts'
import { keysMeant } from './keys.ts'
import { openRuns, Refusal, type OpenRun } from './open-run.ts'
import { OwnFlags } from './own-flags.ts'

const FORMATS = ['csv', 'jsonl', 'parquet'] as const
const KINDS = ['points', 'params', 'tags', 'events', 'spans'] as const

interface Wanted {
  format: (typeof FORMATS)[number]
  what: (typeof KINDS)[number]
  keys: readonly string[]
  isWide: boolean
  /** Null: standard output. */
  out: string | null
}

/** `export`: writes a run as a table. */
export async function exportRun(context: Context): Promise<number> {
  const { voice } = context
  let run: OpenRun | null = null
  try {
    const wanted = wantedOf(context)
    run = openRuns(context.flags.rest, context)[0]!
    await write(tableOf(run, wanted), wanted, context)
    return EXIT.ok
  } catch (error) {
    voice.say(`export: ${(error as Error).message}`)
    return error instanceof Refusal ? EXIT.usage : EXIT.incomplete
  } finally {
    run?.history.close()
  }
}

/** @throws Refusal with all that is wrong */
function wantedOf({ flags }: Context): Wanted {
  const own = new OwnFlags(flags)
  const out = own.text('--out')
  const ending = FORMATS.find((format) => extname(out ?? '') === `.${format}`) ?? 'csv'
  const wanted = {
    format: own.oneOf('--format', FORMATS, ending),
    what: own.oneOf('--what', KINDS, 'points'),
    keys: own.all('--key'),
    isWide: own.has('--wide'),
    out,
  }
  const problems = [...own.problems]
  if (flags.rest.length !== 1)
    problems.unshift(`expected one run, such as: export latest --format csv, got ${flags.rest.join(' ') || 'none'}`)
  if (wanted.isWide && wanted.format !== 'csv') problems.push(`--wide: only with --format csv, not ${wanted.format}`)
  if (wanted.what !== 'points' && (wanted.isWide || wanted.keys.length > 0))
    problems.push(`--wide, --key: only with --what points, not ${wanted.what}`)
  if (wanted.format === 'parquet' && out === null) problems.push('--out: expected a file for parquet, got none')
  if (problems.length > 0) throw new Refusal(problems.join('; '))
  return wanted
}

function tableOf({ status, history }: OpenRun, { what, keys, isWide }: Wanted): Table {
  const { params, tags } = history.pairs()
  if (what === 'params' || what === 'tags') return pairTable(status.run, what === 'params' ? params : tags)
  if (what === 'events') return eventTable(history)
  if (what === 'spans') return spanTable(history)
  history.readKeys()
  const meant = keys.length === 0 ? null : new Set(keysMeant(keys, history.keys))
  // What is committed from now on may be of keys that are not known yet.
  const table = isWide ? wideTable : pointTable
  return table(history, (key) => meant === null || meant.has(key), status.journaled.points)
}

async function write(table: Table, { format, out }: Wanted, { stdout }: Context): Promise<void> {
  const file = out === null ? null : new FileSink(out)
  const sink: Sink = file ?? outputSink(stdout)
  try {
    if (format === 'csv') await writeCsv(table, sink, file === null && isatty(1))
    else if (format === 'jsonl') await writeJsonl(table, sink)
    else await (await import('../export/parquet.ts')).writeParquet(table, sink)
  } catch (error) {
    throw file === null ? error : new Error(`${out}: ${(error as Error).message}: what is in it is not whole`)
  } finally {
    file?.close()
  }
}
