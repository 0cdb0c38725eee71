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
  {
    file: 'src/journal/reader.ts',
    line: 'if (this.#block !== null && sequence >= this.#block.first && sequence < this.#block.first + this.#block.count)',
    replacement: 'false',
    reason: 'the block is read again each time: slower, and the same points',
  },
  {
    file: 'src/journal/reader.ts',
    line: 'if (this.#block !== null && sequence >= this.#block.first && sequence < this.#block.first + this.#block.count)',
    replacement: 'sequence > this.#block.first',
    reason: 'for its first point the block is read once more',
  },
  {
    file: 'src/journal/reader.ts',
    line: 'if (this.#block !== null && sequence >= this.#block.first && sequence < this.#block.first + this.#block.count)',
    replacement: 'this.#block.first - this.#block.count',
    reason: 'the block is read again each time: slower, and the same points',
  },
  {
    file: 'src/journal/statements.ts',
    line: 'this.#prepared.clear()',
    replacement: ';',
    reason: 'a database that is closed takes its statements with it',
  },
  {
    file: 'src/journal/series-stats.ts',
    line: 'if (value < columns.min[series]!) columns.min[series] = value',
    replacement: 'value <= columns.min[series]!',
    reason: '0 and -0 are one value here',
  },
  {
    file: 'src/journal/series-stats.ts',
    line: 'if (value > columns.max[series]!) columns.max[series] = value',
    replacement: 'value >= columns.max[series]!',
    reason: '0 and -0 are one value here',
  },
  {
    file: 'src/journal/series-stats.ts',
    line: 'for (let i = 0; i < BUCKETS / 2; i += 1) column[at + i] = column[at + 2 * i]! + column[at + 2 * i + 1]!',
    replacement: 'i <= BUCKETS / 2',
    reason: 'the bucket that is written too much is emptied by the next line',
  },
  {
    file: 'src/journal/journal.ts',
    line: 'if (this.#ids[id] !== id) this.#isRenumbered = true',
    replacement: 'true',
    reason: 'series are renumbered to the numbers that they have',
  },
  {
    file: 'src/journal/journal.ts',
    line: 'if (n !== 0) tables.addToCounter(rows, COUNTERS[i]!, n)',
    replacement: 'true',
    reason: '0 is added to what is counted',
  },
  {
    file: 'src/journal/journal.ts',
    line: 'if (lost > 0) tables.addToCounter(rows, JOURNAL_FULL, lost)',
    replacement: 'true',
    reason: '0 is added to what is counted',
  },
  {
    file: 'src/journal/journal.ts',
    line: 'if (lost > 0) tables.addToCounter(rows, JOURNAL_FULL, lost)',
    replacement: 'lost >= 0',
    reason: '0 is added to what is counted',
  },
  {
    file: 'src/journal/journal.ts',
    line: 'if (lostSpans > 0) tables.addToCounter(rows, COUNTERS[SPANS_JOURNAL_FULL]!, lostSpans)',
    replacement: 'true',
    reason: '0 is added to what is counted',
  },
  {
    file: 'src/journal/journal.ts',
    line: 'if (lostSpans > 0) tables.addToCounter(rows, COUNTERS[SPANS_JOURNAL_FULL]!, lostSpans)',
    replacement: 'lostSpans >= 0',
    reason: '0 is added to what is counted',
  },
  {
    file: 'src/journal/journal.ts',
    line: 'if (pending.params.length > 0) this.#lastTexts.params = null',
    replacement: 'true',
    reason: 'the last param is looked up once more',
  },
  {
    file: 'src/journal/journal.ts',
    line: 'if (pending.params.length > 0) this.#lastTexts.params = null',
    replacement: 'pending.params.length >= 0',
    reason: 'the last param is looked up once more',
  },
  {
    file: 'src/journal/journal.ts',
    line: 'if (this.#memoryLimit !== null) this.#heldBytes += data.byteLength',
    replacement: 'true',
    reason: 'what is held counts only where memory has a limit, and from 0 there',
  },
  {
    file: 'src/delivery/thread.ts',
    line: 'return [...this.#slots].find(([other, slot]) => other !== number && slot.isLeft && slot.identity === identity)',
    replacement: 'true',
    reason: 'a run that begins is not left yet',
  },
  {
    file: 'src/delivery/thread.ts',
    line: 'const path = resume ?? earlier?.[1].writer?.journal.path ?? this.#journalOf(start.identity)',
    replacement: 'earlier?.[1].writer.journal',
    reason: 'a run that is left has its journal',
  },
  {
    file: 'src/delivery/thread.ts',
    line: 'if (this.#drainedFrom !== null && !slot.isLeft) this.#drainSlot(slot)',
    replacement: 'true',
    reason: 'a run that is left is drained already, and once more does no harm',
  },
  {
    file: 'src/delivery/thread.ts',
    line: 'if (reopen) {',
    replacement: 'true',
    reason: 'a new run has no spans, and nothing that waits',
  },
  {
    file: 'src/delivery/thread.ts',
    line: 'if (this.#slots.get(number) !== slot) return',
    replacement: 'false',
    reason: 'whoever lets go of a run takes it out of the slots at once, so that nobody else meets it',
  },
  {
    file: 'src/delivery/thread.ts',
    line: 'if (this.#stopping || this.#slots.get(number) !== slot) return',
    replacement: 'false',
    reason: 'a run that is gone is watched for 20 s more, and then whoever lets go of it looks again',
  },
]
