/**
 * Breaks the code in ways that would lose or double numbers, one at a time, and looks whether the simulation notices:
 *
 *     node test/simulation/mutations.ts [NAME ...] [--schedules 10000]
 *
 * Exit code 1 when one was not noticed.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

interface Mutation {
  file: string
  from: string
  to: string
}

const MUTATIONS: Readonly<Record<string, Mutation>> = {
  'the cursor advances before the answer': {
    file: 'delivery/delivery.ts',
    from: '    const sent = this.#sender.send(runId, kept, way.end, this.#isSuspended)\n',
    to: `    const early = { ...cursor, position: way.end, delivered: cursor.delivered + kept.count }
    this.#progress.account.moved(kept.kind, early, [], new Map())
    const sent = this.#sender.send(runId, kept, way.end, this.#isSuspended)\n`,
  },
  'the cursor is committed before the rows that it passes': {
    file: 'delivery/account.ts',
    from: '      for (const row of rejected) this.#journal.reject({ destination: this.id, kind, ...row })\n      this.#write(',
    to: `      this.#journal.run('UPDATE cursors SET position = ? WHERE destination = ? AND kind = ?', cursor.position, this.id, kind)
    })
    this.#journal.transaction(() => {
      for (const row of rejected) this.#journal.reject({ destination: this.id, kind, ...row })
      this.#write(`,
  },
  'the cursor is committed after the rows that it passes': {
    file: 'delivery/account.ts',
    from: '      for (const row of rejected) this.#journal.reject({ destination: this.id, kind, ...row })\n      this.#write(',
    to: `    })
    this.#journal.transaction(() => {
      for (const row of rejected) this.#journal.reject({ destination: this.id, kind, ...row })
    })
    this.#journal.transaction(() => {
      this.#write(`,
  },
  'a batch whose answer was lost is sent again without asking': {
    file: 'delivery/sender.ts',
    from: "this.doubtUpTo('ask', end)",
    to: "this.doubtUpTo('none', end)",
  },
  'a batch whose answer was lost counts as stored': {
    file: 'delivery/sender.ts',
    from: "        if (result.kind === 'unanswered' && isDoubtful) {\n",
    to: "        if (result.kind === 'unanswered' && isDoubtful) return { kind: 'ok' }\n        if (result.kind === 'unanswered' && isDoubtful) {\n",
  },
  'the point that is asked for may be one of an earlier batch': {
    file: 'exporters/mlflow/confirm.ts',
    from: '  const isTelling = (i: number): boolean =>\n    Number.isFinite(batch.value[i]!) && batch.step[i]! > heightOf(batch.series[i]!)\n',
    // One point alone: those of several series, and the first, make up for it.
    to: '  const isTelling = (i: number): boolean => Number.isFinite(batch.value[i]!)\n  if (batch.count > 0) return [batch.count - 1].filter(isTelling)\n',
  },
  'the counters are committed apart from their rows': {
    file: 'journal/journal.ts',
    from: '      this.transaction(() => {\n        for (const { id, key } of pending.series)',
    to: `      this.transaction(() => {
        pending.counts.forEach((n, i) => {
          if (n !== 0) tables.addToCounter(rows, COUNTERS[i]!, n)
        })
        pending.counts.fill(0)
      })
      this.transaction(() => {
        for (const { id, key } of pending.series)`,
  },
  'the bounds of a batch are not noted before it leaves': {
    file: 'delivery/progress.ts',
    from: '    this.account.sending(kind, { ...cursor, sending }, fresh)\n',
    to: '',
  },
  'the bounds of what follows are not on disk when the cursor reaches those that are': {
    file: 'delivery/progress.ts',
    from: 'const isWithin = this.#canAsk && kind === this.main && way.isPart !== true && way.end < cursor.sending',
    to: 'const isWithin = this.#canAsk && kind === this.main',
  },
  'one batch that is stored ends the doubt about those that follow': {
    file: 'delivery/sender.ts',
    from: "          if (known.kind === 'stored') return { kind: 'ok' }\n",
    to: "          if (known.kind === 'stored') this.#doubt = 'none'\n          if (known.kind === 'stored') return { kind: 'ok' }\n",
  },
  'heights are not kept over a restart': {
    file: 'delivery/account.ts',
    from: '    for (const [key, step] of higher) this.#raise(key, step)\n    this.#journal.run(',
    to: '    this.#journal.run(',
  },
  'a full answer to the question counts as none': {
    file: 'exporters/mlflow/confirm.ts',
    from: "  return metrics.length >= rows ? { kind: 'unknown' } : { kind: 'missing' }",
    to: "  return { kind: 'stored' }",
  },
  'an answer that broke off counts as a refusal': {
    file: 'exporters/http.ts',
    from: "  return { kind: 'unanswered', error: words(`broke off",
    to: "  return { kind: 'drop', error: words(`broke off",
  },
  'a refused batch is set aside whole': {
    file: 'delivery/delivery.ts',
    from: '    if (batch.count === 1) {\n      return this.#refusedAlone',
    to: '    if (batch.count <= 8) {\n      this.#progress.reject(batch, refusal, cursor, way)\n      return null\n    }\n    if (batch.count === 1) {\n      return this.#refusedAlone',
  },
  'a refusal is believed of a run that takes nothing': {
    file: 'delivery/delivery.ts',
    from: "    if (probe.kind !== 'ok' && probe.kind !== 'pieces') return probe\n    return this.#bisect",
    to: '    return this.#bisect',
  },
  'a message that belongs to a whole is committed before it is complete': {
    file: 'delivery/group-commit.ts',
    from: '    this.#isWhole = true\n',
    to: '',
  },
  'a barrier is passed before the commit': {
    file: 'delivery/group-commit.ts',
    from: '    this.#barriers.push(barrier)\n    this.#schedule()\n',
    to: '    this.#barriers.push(barrier)\n    this.#passBarriers()\n',
  },
  'a failed commit is forgotten': {
    file: 'journal/journal.ts',
    from: '      this.#heldBytes = heldBefore\n      throw error\n',
    to: '      this.#heldBytes = heldBefore\n      this.#pending = nothingPending()\n      throw error\n',
  },
  'sequence numbers are not taken back when a commit fails': {
    file: 'journal/journal.ts',
    from: '      this.#points = before\n',
    to: '',
  },
  'spans of a block are read from its beginning on': {
    file: 'journal/reader.ts',
    from: '      const from = Math.max(0, next - block.first)\n',
    to: '      const from = 0\n',
  },
  'what memory held is not written back': {
    file: 'journal/overflow.ts',
    from: "const GROWING = ['blocks', 'spans', 'events', 'rejected'] as const",
    to: "const GROWING = ['spans', 'events', 'rejected'] as const",
  },
  'events that memory held are not written back': {
    file: 'journal/overflow.ts',
    from: "const GROWING = ['blocks', 'spans', 'events', 'rejected'] as const",
    to: "const GROWING = ['blocks', 'spans', 'rejected'] as const",
  },
  'events have the numbers of a commit that failed': {
    file: 'journal/journal.ts',
    from: '      this.#events = eventsBefore\n',
    to: '',
  },
  'more events are kept than there may be': {
    file: 'journal/events.ts',
    from: '.run(FIRST_EVENTS, Math.max(FIRST_EVENTS, last - NEWEST_EVENTS))',
    to: '.run(FIRST_EVENTS, Math.max(FIRST_EVENTS, last - NEWEST_EVENTS - 1))',
  },
  'a run is made again without looking for it': {
    file: 'exporters/mlflow/run.ts',
    from: '  if (run.makingSince !== null || run.mayExist) {\n',
    to: '  if (false as boolean) {\n',
  },
}

const { values, positionals } = parseArgs({
  options: { schedules: { type: 'string', default: '10000' } },
  allowPositionals: true,
})
const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** Plays schedules with the mutation in place. @returns the seed that noticed, or null */
function trial({ file, from, to }: Mutation): { seed: string | null; seconds: number } {
  const work = mkdtempSync(join(tmpdir(), 'spanbridge-mutation-'))
  try {
    for (const part of ['src', 'test', 'package.json']) cpSync(join(ROOT, part), join(work, part), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules'), join(work, 'node_modules'))
    const path = join(work, 'src', file)
    const text = readFileSync(path, 'utf8')
    if (text.split(from).length !== 2) throw new Error(`${file}: expected the text of the mutation once: ${from}`)
    writeFileSync(
      path,
      text.replace(from, () => to),
    )
    const started = performance.now()
    const args = ['--disable-warning=ExperimentalWarning', 'test/simulation/simulate.ts', '--bail']
    const { stdout, stderr, status } = spawnSync(process.execPath, [...args, '--schedules', values.schedules], {
      cwd: work,
      encoding: 'utf8',
    })
    const seed = /seed \d+\n {2}.*/.exec(stdout)?.[0] ?? null
    if (seed === null && status !== 0) throw new Error(`${file}: the simulation ends with ${status}: ${stderr}`)
    return { seed, seconds: (performance.now() - started) / 1000 }
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

const names = positionals.length > 0 ? positionals : Object.keys(MUTATIONS)
for (const name of names) {
  const { seed, seconds } = trial(MUTATIONS[name]!)
  console.log(
    `${seed === null ? 'NOT NOTICED' : 'noticed'} after ${seconds.toFixed(0)} s: ${name}${seed === null ? '' : `\n    ${seed.replace('\n ', ':')}`}`,
  )
  if (seed === null) process.exitCode = 1
}
