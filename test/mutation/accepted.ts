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
    file: 'src/delivery/thread.ts',
    line: 'const slot: Slot = { identity, writer: null, run: null, queue: [], isLeft: false }',
    replacement: '["Stryker was here"]',
    reason: 'what is no message of a run is ignored when the queue is emptied',
  },
  {
    file: 'src/delivery/thread.ts',
    line: 'this.#commits.commit()',
    replacement: ';',
    reason: 'at the end each run is committed once more when it is drained',
  },
]
