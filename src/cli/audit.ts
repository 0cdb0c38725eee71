import { AuditedJournal } from '../audit/journal.ts'
import { differs, type AuditRow, type Counts } from '../audit/counts.ts'
import { auditDestination, isFault, type DestinationAudit } from '../audit/run.ts'
import { createExporters } from '../exporters/index.ts'
import type { Exporter } from '../exporters/exporter.ts'
import { readJournal, readStateDir, type RunStatus } from '../journal/status.ts'
import { Via } from '../otlp/via.ts'
import { counted, number, table } from '../telemetry/words.ts'
import type { Context } from './app.ts'
import { EXIT } from './exit-codes.ts'
import { findJournal, noSuchRun } from './find-run.ts'
import { ulid } from './start.ts'

/** The audit of one run; the keys are those of `audit --json`. */
interface RunAudit {
  run: string
  name: string
  status: string
  journal: string
  destinations: DestinationAudit[]
}

/** `audit`: reads trackers back and compares them with the journals that are named, or with all. It writes nothing. */
export async function audit(context: Context): Promise<number> {
  const { flags, loaded, stateDir, stdout, voice } = context
  const exporters = createExporters({ settings: loaded.settings, via: new Via(ulid(Date.now())) })
  if (exporters.length === 0) {
    voice.say('audit: there is no destination; set MLFLOW_TRACKING_URI or --mlflow-tracking-uri')
    return EXIT.usage
  }
  const named = journalsOf(context)
  if (named === null) return EXIT.usage
  const { journals } = named
  let { code } = named
  const runs: RunAudit[] = []
  for (const path of journals) {
    try {
      const found = await auditJournal(readJournal(path), exporters)
      if (flags.json) runs.push(found)
      else stdout.write(Buffer.from(describe(found)))
      if (found.destinations.some(isFault)) code = Math.max(code, EXIT.incomplete)
    } catch (error) {
      voice.say(`audit: ${path} cannot be read (${whyNot(error)})`)
      code = Math.max(code, EXIT.incomplete)
    }
  }
  await Promise.all(exporters.map((exporter) => exporter.close()))
  if (flags.json) stdout.write(Buffer.from(`${JSON.stringify({ runs }, null, 2)}\n`))
  else if (journals.length === 0 && flags.rest.length === 0) stdout.write(Buffer.from(`no runs in ${stateDir}\n`))
  return code
}

/** SQLite's codes for a file that it cannot open or write beside. */
const CANNOT_OPEN = new Set([8, 14])

const whyNot = (error: unknown): string => {
  const { message, errcode } = error as Error & { errcode?: number }
  const isClosed = CANNOT_OPEN.has((errcode ?? 0) & 0xff)
  return isClosed
    ? `${message}; SQLite has to write beside it: copy it into a directory where that is allowed`
    : message
}

/** The journals that are named, or all of the state directory, which may be none; what is wrong with them is said. */
function journalsOf({ flags, stateDir, voice }: Context): { journals: string[]; code: number } | null {
  let found: ReturnType<typeof readStateDir>
  try {
    found = readStateDir(stateDir)
  } catch (error) {
    voice.say(`stateDir: expected a directory, got '${stateDir}' (${(error as Error).message})`)
    return null
  }
  const { runs, unreadable } = found
  if (flags.rest.length === 0) {
    for (const { journal, error } of unreadable) voice.say(`audit: ${journal} cannot be read (${error})`)
    return { journals: runs.map(({ journal }) => journal), code: unreadable.length > 0 ? EXIT.incomplete : EXIT.ok }
  }
  const meant = flags.rest.map((word) => findJournal(word, runs))
  for (const [i, journal] of meant.entries())
    if (journal === null) voice.say(`audit: ${noSuchRun(flags.rest[i]!, runs, stateDir)}`)
  const journals = meant.filter((journal) => journal !== null)
  return { journals, code: journals.length < meant.length ? EXIT.usage : EXIT.ok }
}

async function auditJournal(
  { run, name, status, journal: path }: RunStatus,
  exporters: readonly Exporter[],
): Promise<RunAudit> {
  const journal = new AuditedJournal(path)
  try {
    const destinations: DestinationAudit[] = []
    for (const exporter of exporters) {
      const found = await auditDestination(journal, exporter)
      if (found !== null) destinations.push(found)
    }
    return { run, name, status, journal: path, destinations }
  } finally {
    journal.close()
  }
}

function describe({ run, name, status, destinations }: RunAudit): string {
  const lines = [`${name} (${run}) ${status}`, ...destinations.flatMap(describeDestination)]
  return `${lines.join('\n')}\n`
}

/** The rows with differences and the sum of all. */
function describeDestination(audit: DestinationAudit): string[] {
  const { exporter, address, runId, result, error, rows, sum } = audit
  const head = `  ${exporter} ${address}${runId === null ? '' : ` run ${runId}`}: ${error ?? result}`
  if (result !== 'equal' && result !== 'different') return [head]
  const of = rows.length === 1 ? 'the sum' : `sum of ${number(rows.length)} keys`
  const cells = [
    ['', 'in the journal', 'equal', 'missing', 'different', 'added', 'rejected', 'pending', ''],
    ...rows.filter(differs).map(cellsOf),
    countCells(of, sum, ''),
  ]
  return [head, ...notesOf(audit), ...table(cells, 1).map((line) => `  ${line}`)]
}

const cellsOf = (row: AuditRow): string[] => countCells(`${row.kind} ${row.key}`, row, row.first ?? '')

const countCells = (name: string, counts: Counts, last: string): string[] => [
  name,
  ...[
    counts.journal,
    counts.equal,
    counts.missing,
    counts.different,
    counts.added,
    counts.rejected,
    counts.pending,
  ].map(number),
  last,
]

/** What the numbers of the table do not say by themselves. */
function notesOf({ made, notKept, sum, rows }: DestinationAudit): string[] {
  const hasMetrics = rows.some(({ kind }) => kind === 'metric')
  return [
    ...(sum.repeated > 0 ? [`    ${counted(sum.repeated, 'equal row')} of the journal counted once`] : []),
    ...(notKept > 0
      ? [`    ${number(notKept)} not kept in the journal, so that neither they nor what is added can be told`]
      : []),
    ...(hasMetrics && !made ? ['    the run was given from outside: what else is in it is no difference'] : []),
  ]
}
