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
    file: 'src/delivery/delivery.ts',
    line: 'if (cursor.sending === end && fresh.length === 0) return',
    replacement: 'false',
    reason: 'the bounds that are noted already are noted again',
  },
  {
    file: 'src/delivery/orphans.ts',
    line: 'return isDelivered && !isAwaited',
    replacement: 'false',
    reason: 'a run that is delivered is read once more, and nothing is found to do',
  },
  {
    file: 'src/delivery/retention.ts',
    line: 'if (total <= maxBytes) {',
    replacement: 'total < maxBytes',
    reason: 'at the limit to the byte nothing is emptied either way',
  },
  {
    file: 'src/delivery/retention.ts',
    line: 'if (taken === null) return false',
    replacement: 'false',
    reason:
      'another process would have to take the journal between two statements: it can, and then it is told as an error',
  },
  {
    file: 'src/delivery/retention.ts',
    line: 'rmSync(lockOf(path), { force: true })',
    replacement: '{}',
    reason: 'the file is there: we have just made it',
  },
  {
    file: 'src/delivery/retention.ts',
    line: 'rmSync(lockOf(path), { force: true })',
    replacement: 'false',
    reason: 'the file is there: we have just made it',
  },
  {
    file: 'src/delivery/retention.ts',
    line: 'if (!isNews && bytes < EMPTY_BYTES) return 0',
    replacement: 'bytes <= EMPTY_BYTES',
    reason: 'a journal of exactly 1 MB',
  },
  {
    file: 'src/delivery/run.ts',
    line: 'const files = isEmpty(path) ? [path, `${path}-wal`, `${path}-shm`, lockOf(path)] : []',
    replacement: '["Stryker was here"]',
    reason: 'a file that is not there',
  },
  {
    file: 'src/delivery/run.ts',
    line: 'rmSync(lockOf(path), { force: true })',
    replacement: '{}',
    reason: 'the file is there: we have just made it',
  },
  {
    file: 'src/delivery/run.ts',
    line: 'rmSync(lockOf(path), { force: true })',
    replacement: 'false',
    reason: 'the file is there: we have just made it',
  },
  {
    file: 'src/delivery/writer.ts',
    line: 'if (!this.journal.isDirty) return []',
    replacement: 'false',
    reason: 'a commit of nothing writes nothing; only the limit is looked at, which is seldom reached then',
  },
  {
    file: 'src/delivery/writer.ts',
    line: 'if (over <= MAX_DROP_BYTES) this.#lookedAt = now',
    replacement: 'over < MAX_DROP_BYTES',
    reason: 'what is too much is exactly 16 MB, and is dropped at once either way',
  },
  {
    file: 'src/journal/identities.ts',
    line: 'if (!this.#known.has(path)) this.#known.set(path, identityOf(path))',
    replacement: 'true',
    reason: 'journals are opened each time: slower',
  },
  {
    file: 'src/journal/identities.ts',
    line: 'return []',
    replacement: '["Stryker was here"]',
    reason: 'a file that is not there is passed over',
  },
  {
    file: 'src/journal/identities.ts',
    line: "return row === undefined ? null : String(row['value'])",
    replacement: 'false',
    reason: 'a journal without an identity fails to be read, and is passed over likewise',
  },
  {
    file: 'src/journal/overflow.ts',
    line: "const memory = new DatabaseSync(':memory:')",
    replacement: '""',
    reason: 'SQLite keeps a database without a name in memory, too, and goes to a temporary file where it is large',
  },
  {
    file: 'src/journal/room.ts',
    line: 'if (freed < bytes) drop(database, bytes - freed, { points: Infinity, spans: Infinity })',
    replacement: 'true',
    reason: 'nothing is dropped where no bytes are wanted',
  },
  {
    file: 'src/journal/room.ts',
    line: 'if (freed < bytes) drop(database, bytes - freed, { points: Infinity, spans: Infinity })',
    replacement: 'freed <= bytes',
    reason: 'nothing is dropped where no bytes are wanted',
  },
  {
    file: 'src/journal/room.ts',
    line: 'if (freed < bytes) drop(database, bytes - freed, { points: Infinity, spans: Infinity })',
    replacement: '{}',
    reason: 'a number is not more than `undefined`, as it is not more than Infinity',
  },
  {
    file: 'src/journal/room.ts',
    line: 'const spans = more.last > half.last ? more : half',
    replacement: 'more.last >= half.last',
    reason: 'where both are equal it does not matter which',
  },
  {
    file: 'src/journal/identities.ts',
    line: 'return readdirSync(this.#stateDir, { withFileTypes: true })',
    replacement:
      "readdirSync(this.#stateDir, {\n  withFileTypes: true\n}).filter(entry => entry.isFile() && entry.name.endsWith('.sqlite')).map(({\n  name\n}) => join(this.#stateDir, name))",
    reason: 'Node.js gives the names of a directory in order, which it does not promise',
  },
  {
    file: 'src/delivery/retention.ts',
    line: 'return readdirSync(stateDir, { withFileTypes: true })',
    replacement:
      "readdirSync(stateDir, {\n  withFileTypes: true\n}).filter(entry => entry.isFile() && entry.name.endsWith('.sqlite')).map(({\n  name\n}) => join(stateDir, name))",
    reason: 'Node.js gives the names of a directory in order, which it does not promise',
  },
]
