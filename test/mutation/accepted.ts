/** A survivor that changes nothing that anybody could notice, or only how much work it is. */
interface Accepted {
  file: string
  /** The line of the code, without the blanks around it. */
  line: string
  replacement: string
  reason: string
}

export const ACCEPTED: readonly Accepted[] = [
  {
    file: 'src/journal/journal.ts',
    line: 'this.#overflow.close()',
    replacement: ';',
    reason: 'the database in memory goes when it is collected, a little later',
  },
  {
    file: 'src/journal/series-stats.ts',
    line: 'const larger = columnsFor(Math.max(needed, old.size * 2))',
    replacement: 'old.size / 2',
    reason: 'columns grow by what is needed: slower, and the same numbers',
  },
  {
    file: 'src/delivery/progress.ts',
    line: 'if (cursor.sending === end && fresh.length === 0) return',
    replacement: 'false',
    reason: 'the bounds that are noted already are noted again',
  },
  {
    file: 'src/delivery/progress.ts',
    line: 'kind === this.main ? this.waiting === 0 : nextBatch(this.#journal, kind, position, 1) === null,',
    replacement: 'false',
    reason: 'a batch is read where a number would have told that there is none',
  },
  {
    file: 'src/delivery/progress.ts',
    line: "if (batch.kind !== 'points' || this.#refusedFor.size + this.#ahead.size === 0)",
    replacement: 'false',
    reason: 'each point is looked at where none is set aside, and none is',
  },
  {
    file: 'src/delivery/progress.ts',
    line: "reason: this.#refusedFor.get(batch.series[i]!) ?? '',",
    replacement: '"Stryker was here!"',
    reason: 'a row without a reason here is in the journal already, with its reason, and is not written again',
  },
  {
    file: 'src/delivery/progress.ts',
    line: 'if (cursor === undefined || !this.isInDoubt) return',
    replacement: 'false',
    reason: 'without a cursor nothing is in doubt',
  },
  {
    file: 'src/delivery/progress.ts',
    line: 'for (let i = 0; i < batch.count; i += 1) {',
    replacement: 'i <= batch.count',
    reason: 'the step behind the last one is undefined, and no higher than anything',
  },
  {
    file: 'src/delivery/progress.ts',
    line: 'if (step > (highest.get(series) ?? Number.NEGATIVE_INFINITY)) highest.set(series, step)',
    replacement: 'step >= (highest.get(series) ?? Number.NEGATIVE_INFINITY)',
    reason: 'the highest step is set once more to what it is',
  },
  {
    file: 'src/delivery/progress.ts',
    line: 'if (step > (heights.get(name) ?? this.account.heightOf(name))) heights.set(name, step)',
    replacement: 'step >= (heights.get(name) ?? this.account.heightOf(name))',
    reason: 'the height is set once more to what it is',
  },
  {
    file: 'src/delivery/account.ts',
    line: 'const higher = [...heights].filter(([key, step]) => step > this.heightOf(key))',
    replacement: 'step >= this.heightOf(key)',
    reason: 'a height that is there already is written once more',
  },
  {
    file: 'src/delivery/batches.ts',
    line: 'if (after >= journal.lastText(kind)) return null',
    replacement: 'false',
    reason: 'the database is asked where it is known that there is nothing',
  },
  {
    file: 'src/delivery/batches.ts',
    line: 'if (after >= journal.lastText(kind)) return null',
    replacement: 'after > journal.lastText(kind)',
    reason: 'the database is asked where it is known that there is nothing',
  },
  {
    file: 'src/delivery/batches.ts',
    line: "(batch.kind === 'points' ? batch.sequences?.[i] : undefined) ?? batch.first + i",
    replacement: 'true',
    reason: 'batches of other kinds have no `sequences`; the compiler wants to be told',
  },
  {
    file: 'src/delivery/delivery.ts',
    line: '#made = false',
    replacement: 'true',
    reason: 'it is set before anybody reads it',
  },
  {
    file: 'src/delivery/delivery.ts',
    line: '#splitsNaN = false',
    replacement: 'true',
    reason: 'it is set when the run is opened, before anybody reads it',
  },
  {
    file: 'src/delivery/delivery.ts',
    line: '#ended = false',
    replacement: 'true',
    reason: 'it is set before anybody reads it',
  },
  {
    file: 'src/delivery/delivery.ts',
    line: '#tookAll = false',
    replacement: 'true',
    reason: 'it is set when the run is opened, before anybody reads it',
  },
  {
    file: 'src/delivery/delivery.ts',
    line: "kind: 'retry',",
    replacement: '""',
    reason: 'what is no refusal is treated as what is to be tried again',
  },
  {
    file: 'src/delivery/delivery.ts',
    line: 'if (kind === progress.main && batch !== null) this.#tookAll = lastOf(batch) === progress.total',
    replacement: 'true',
    reason: 'of what is due there is a batch; the compiler wants to be told',
  },
  {
    file: 'src/delivery/delivery.ts',
    line: 'if (waiting === 0) return false',
    replacement: 'false',
    reason: 'a batch is looked for that is not there',
  },
  {
    file: 'src/delivery/delivery.ts',
    line: 'if (waiting === 0) return false',
    replacement: 'true',
    reason: 'a batch is looked for that is not there',
  },
  {
    file: 'src/delivery/delivery.ts',
    line: 'return this.#waitingSince !== null && this.#clock.now() - this.#waitingSince >= FLUSH_MS',
    replacement: 'true',
    reason: 'whoever makes a delivery wakes it, so that it is known since when points wait',
  },
  {
    file: 'src/delivery/attempts.ts',
    line: 'super(outcome.error?.message ?? outcome.kind)',
    replacement: 'outcome.error?.message && outcome.kind',
    reason: 'what is thrown is caught here again, and nobody reads its message',
  },
  {
    file: 'src/delivery/attempts.ts',
    line: 'if (retriesLeft > 0 && wanted > retryDelay && wanted <= LONGEST_RETRY_AFTER_MS) {',
    replacement: 'wanted >= retryDelay',
    reason: 'a pause of no time more',
  },
  {
    file: 'src/delivery/attempts.ts',
    line: "cut.addEventListener('abort', abort, { once: true })",
    replacement: '{}',
    reason: 'a signal aborts once, and the listener is taken away behind the call',
  },
  {
    file: 'src/delivery/attempts.ts',
    line: "cut.addEventListener('abort', abort, { once: true })",
    replacement: 'false',
    reason: 'a signal aborts once, and the listener is taken away in the end',
  },
  {
    file: 'src/delivery/attempts.ts',
    line: "else cut.addEventListener('abort', end, { once: true })",
    replacement: '{}',
    reason: 'a signal aborts once, and the listener is taken away when the pause ends',
  },
  {
    file: 'src/delivery/attempts.ts',
    line: "else cut.addEventListener('abort', end, { once: true })",
    replacement: 'false',
    reason: 'a signal aborts once, and the listener is taken away in the end',
  },
  {
    file: 'src/delivery/rejected.ts',
    line: 'peer: known.runId === null ? null : { runId: known.runId, group: null },',
    replacement: 'false',
    reason: 'the run is known wherever something is sent once more',
  },
  {
    file: 'src/delivery/summary.ts',
    line: "if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? 'inf' : '-inf'",
    replacement: 'value >= 0',
    reason: 'what is not finite is not 0',
  },
  {
    file: 'src/delivery/summary.ts',
    line: 'if (size < 1e-4 || size >= 1e15) return Number(value.toPrecision(6)).toExponential()',
    replacement: 'size > 1e15',
    reason: '1e15 is a whole number, which is shown before',
  },
  {
    file: 'src/delivery/summary.ts',
    line: "return size < 1e6 ? String(Number(value.toPrecision(6))) : value.toLocaleString('en-US', { maximumFractionDigits: 1 })",
    replacement: 'size <= 1e6',
    reason: '1e6 is a whole number, which is shown before',
  },
  {
    file: 'src/delivery/summary.ts',
    line: 'const all = journal.seriesStats.sort((a, b) => (a.key < b.key ? -1 : 1))',
    replacement: 'a.key <= b.key',
    reason: 'no two series have the same key',
  },
  {
    file: 'src/journal/damage.ts',
    line: "if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value",
    replacement: 'true',
    reason: 'a safe integer is a number',
  },
  {
    file: 'src/journal/damage.ts',
    line: "const target = typeof json === 'string' ? parsed(json) : null",
    replacement: 'true',
    reason: 'nothing else that SQLite gives is an object when it is read as JSON',
  },
  {
    file: 'src/journal/damage.ts',
    line: '} catch {',
    replacement: '{}',
    reason: 'undefined is what a function gives that returns nothing',
  },
  {
    file: 'src/journal/directory.ts',
    line: 'if (dirname(path) !== path) makeDirectory(dirname(path))',
    replacement: 'true',
    reason: 'the directory at the top of a path is always there, also when it has been deleted',
  },
  {
    file: 'src/journal/status.ts',
    line: 'const count = (sql: string): number => Number(Object.values(all(sql)[0] ?? { n: 0 })[0])',
    replacement: '{}',
    reason: 'a count has always a row',
  },
  {
    file: 'src/journal/status.ts',
    line: 'export function readStateDir(stateDir: string, skip: (journal: string) => boolean = () => false): StateDir {',
    replacement: '() => undefined',
    reason: 'neither is true',
  },
  {
    file: 'src/journal/status.ts',
    line: 'return readdirSync(stateDir, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))',
    replacement: 'readdirSync(stateDir, {\n  withFileTypes: true\n})',
    reason: 'Node lists a directory by name already, which it does not promise',
  },
  {
    file: 'src/journal/status.ts',
    line: 'return readdirSync(stateDir, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))',
    replacement: '() => undefined',
    reason: 'Node lists a directory by name already, which it does not promise',
  },
  {
    file: 'src/journal/status.ts',
    line: 'return readdirSync(stateDir, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))',
    replacement: 'false',
    reason: 'Node lists a directory by name already, which it does not promise',
  },
  {
    file: 'src/journal/status.ts',
    line: 'return readdirSync(stateDir, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))',
    replacement: '+1',
    reason: 'Node lists a directory by name already, which it does not promise',
  },
  {
    file: 'src/journal/status.ts',
    line: 'return readdirSync(stateDir, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))',
    replacement: 'a.name <= b.name',
    reason: 'no two files of a directory have the same name',
  },
  {
    file: 'src/delivery/trouble.ts',
    line: '#isSaid = false',
    replacement: 'true',
    reason: 'the first failure is always told',
  },
]
