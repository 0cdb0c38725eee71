import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { expectConserved } from '../support/account.ts'
import { spanbridge, startBridge, statusOf, temporaryDirectory } from '../support/spanbridge.ts'

const line = (step: number, level: string): string =>
  `${JSON.stringify({ level, category: 'TRAINER', step, loss: step / 8, message: `at ${step}` })}\n`
const levelOf = (step: number): string => (step % 10 === 0 ? 'ERROR' : step % 5 === 0 ? 'WARN' : 'INFO')
const lines = (count: number): string => Array.from({ length: count }, (_, i) => line(i + 1, levelOf(i + 1))).join('')

const rowsOf = (path: string): Record<string, unknown>[] => {
  const database = new DatabaseSync(path, { readOnly: true })
  try {
    return database.prepare('SELECT sequence, level, message, step FROM events ORDER BY sequence').all()
  } finally {
    database.close()
  }
}

describe('events of level WARN and ERROR', () => {
  it.each([[[]], [['--console']]])(
    'of a pipe are in the journal, each once, and in the account (%j)',
    async (flags) => {
      const stateDir = temporaryDirectory()
      const { code } = await spanbridge(['--state-dir', stateDir, ...flags], lines(1000))
      expect(code).toBe(0)
      const [run] = await statusOf(stateDir)
      expectConserved(run!)
      expect(run!.eventAccount).toEqual({
        received: 200,
        journaled: 200,
        notKept: 0,
        inChannel: 0,
        dropped: { channel_full: 0, journal_full: 0 },
      })
      expect(run!.points).toBe(1000)
      const row = (_: unknown, i: number): unknown => {
        const step = 5 * (i + 1)
        return { sequence: i + 1, level: levelOf(step), message: `at ${step}`, step }
      }
      expect(rowsOf(run!.journal)).toEqual(Array.from({ length: 200 }, row))
      const { stdout } = await spanbridge(['status', '--state-dir', stateDir])
      expect(stdout.toString()).toContain('events     200 of level WARN or ERROR = 200 journaled\n')
    },
  )

  it('lie in the journal with their counts when the process is killed', async () => {
    const stateDir = temporaryDirectory()
    const running = startBridge(['--quiet', '--state-dir', stateDir])
    running.child.stdin.on('error', () => {})
    running.child.stdin.write(lines(100_000))
    await expect
      .poll(async () => (await statusOf(stateDir))[0]?.eventAccount.journaled ?? 0, { timeout: 20_000 })
      .not.toBe(0)
    running.child.kill('SIGKILL')
    await running.finished
    const [run] = await statusOf(stateDir)
    expectConserved(run!)
    const { journaled, notKept } = run!.eventAccount
    const rows = rowsOf(run!.journal)
    expect(rows.length).toBe(journaled - notKept)
    expect(rows.every(({ sequence, step }) => step === 5 * Number(sequence))).toBe(true)
  })
})
