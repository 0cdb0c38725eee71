// oxlint-disable no-control-regex -- what a terminal is sent is looked at
import { describe, expect, it } from 'vitest'
import { Pty } from '../support/pty.ts'
import { spanbridge, startBridge, temporaryDirectory } from '../support/spanbridge.ts'
import { stateDirWith } from '../support/stored-runs.ts'
import type { Point } from '../support/filled-journal.ts'

const SIGTERM = 15
const SIGUSR2 = 12

const series = (key: string, valueOf: (step: number) => number): Point[] =>
  Array.from({ length: 400 }, (_, i) => ({
    key,
    value: valueOf(i + 1),
    step: i + 1,
    time: 1_700_000_000_000 + i * 1000,
  }))

const runs = {
  older: series('x/loss', (step) => step),
  ppo: [
    ...series('trainer/policy_loss', (step) => 1 / step),
    ...series('trainer/approx_kl', (step) => (step > 300 ? 0.2 : 0.01)),
    ...series('trainer/value_loss', (step) => (step === 200 ? Number.NaN : step)),
    ...series('actor/mean_return', (step) => step * 10),
    ...series('misc/learning_rate', (step) => (400 - step) / 1e6),
    ...Array.from({ length: 8 }, (_, i) => series(`misc/m${i}`, () => i)).flat(),
  ],
}

const open = (
  stateDir: string,
  options: { columns?: number; rows?: number; env?: Record<string, string>; words?: string[] } = {},
): Pty =>
  new Pty(['top', ...(options.words ?? []), '--state-dir', stateDir], {
    columns: options.columns ?? 80,
    rows: options.rows ?? 24,
    env: options.env ?? {},
  })

const charts = (screen: string): number =>
  screen.match(/Policy Loss|Approx\. KL|Value Loss|Mean Return|Learning Rate|\bM\d/g)?.length ?? 0

describe('top in a terminal', () => {
  it('shows nine charts in a small window with round ticks and last values, and all of them in a large one', async () => {
    const pty = open(stateDirWith(runs))
    const small = await pty.shows(/all 13 .*page 1\/2[^]*Policy Loss ─+ 0\.0025[^]*\? keys/)
    expect(charts(small)).toBe(9)
    expect(small).toMatch(/Approx\. KL ─+ 0\.2 !!/)
    expect(small).toMatch(/Value Loss ─* ×1 NaN 400/)
    expect(small).toMatch(/ 200 ┤/)
    expect(small).toMatch(/ 200 +400/)
    expect(small).toMatch(/^ ppo finished as of 1 Jan 00:00 {2}step 400 .*kept in the journal *$/m)
    expect(small).toMatch(/all 13 {2}trainer 3 {2}actor 1 {2}misc 9 +page 1\/2/)
    pty.resize(200, 60)
    const large = await pty.shows(/points 5,200 = 5,200 in the journal/)
    expect(charts(large)).toBe(13)
    expect(large).not.toContain('page 1/')
    pty.keys('q')
    expect(await pty.ended()).toEqual({ code: 0, restored: true })
  })

  it('follows its keys: enlarge, smooth, log, group, filter, runs, account, help', async () => {
    const pty = open(stateDirWith(runs))
    await pty.shows(/▸Policy Loss/)
    pty.keys('\x1b[C\r')
    await pty.shows(/400 points · min 0\.01 · max 0\.2 · last at step 400 · trainer\/approx_kl/)
    pty.keys('sy')
    await pty.shows(/smooth 0\.6 · log/)
    pty.keys('\x1b')
    await pty.shows(/▸Approx\. KL/)
    pty.keys('g')
    await pty.shows(/^▸Policy Loss(?![^]*Mean Return)/m)
    pty.keys('/kl\r')
    await pty.shows(/\/kl {2}1 of 13/)
    pty.keys('\x1b')
    await pty.shows(/^ all 13 /m)
    pty.keys('d')
    await pty.shows(/numbers received 5,200 = 5,200 points/)
    pty.keys('o')
    await pty.shows(/runs 1\/2[^]*▸ppo[^]*older/)
    pty.keys('\x1b[B\r')
    await pty.shows(/^ older finished/m)
    pty.keys('r')
    await pty.shows(/^ ppo finished/m)
    pty.keys('?')
    await pty.shows(/Ctrl-Z +to the shell/)
    pty.keys('q')
    await pty.shows(/^(?![^]*to the shell)/)
    pty.keys('\x1b')
    await pty.shows(/page 1\/2/)
    pty.keys('n')
    await pty.shows(/page 2\/2/)
    pty.keys('q')
    expect((await pty.ended()).code).toBe(0)
  })

  it('shows a new value within a second, and that the run has ended', async () => {
    const stateDir = temporaryDirectory()
    const pty = open(stateDir)
    await pty.shows(/No run yet in/)
    const bridge = startBridge(['--quiet', '--state-dir', stateDir, '--run-name', 'now'])
    const took: number[] = []
    for (const step of [1, 2, 3, 4, 5]) {
      bridge.child.stdin.write(`{"step":${step},"loss":${step}.25}\n`)
      const since = performance.now()
      await pty.shows(new RegExp(`Loss ─+ ${step}\\.25[^]*`))
      took.push(performance.now() - since)
    }
    expect(pty.screen).toMatch(/^ now ● live {2}step 5/m)
    // The first waits for Spanbridge to start; others share the machine.
    expect(Math.min(...took.slice(1))).toBeLessThan(1000)
    bridge.child.stdin.end()
    await pty.shows(/^ now finished as of/m)
    pty.keys('q')
    await pty.ended()
  })

  it('says what is not delivered, and the last error with all of its words', async () => {
    const stateDir = temporaryDirectory()
    const args = ['--state-dir', stateDir, '--mlflow-tracking-uri', 'http://127.0.0.1:9', '--run-name', 'far']
    const bridge = startBridge(['--quiet', ...args])
    bridge.child.stdin.write('{"step":1,"loss":1}\n')
    const pty = open(stateDir)
    await pty.shows(/^ far ● live .*1 suspended, 1 pending, 0 refused/m)
    pty.keys('d')
    const screen = await pty.shows(/mlflow suspended points 1 = 0 delivered \+ 1 pending/)
    expect(screen.replaceAll(/\s+/g, ' ')).toMatch(/connection refused\)?: is the server running/)
    pty.keys('q')
    await pty.ended()
  })

  it('says that a run was interrupted when its process has died', async () => {
    const stateDir = temporaryDirectory()
    const bridge = startBridge(['--quiet', '--state-dir', stateDir, '--run-name', 'now'])
    bridge.child.stdin.write('{"step":1,"loss":1}\n')
    const pty = open(stateDir)
    await pty.shows(/^ now ● live[^]*Loss ─+ 1/m)
    bridge.child.kill('SIGKILL')
    await pty.shows(/^ now ■ interrupted as of/m)
    pty.keys('q')
    await pty.ended()
  })

  const crash = `process.on('SIGUSR2', () => { throw new Error('boom') })`
  const ways: [string, (pty: Pty) => void, Record<string, string>, number][] = [
    ['q', (pty) => pty.keys('q'), {}, 0],
    ['Ctrl-C', (pty) => pty.keys('\x03'), {}, 0],
    ['SIGTERM', (pty) => pty.signal(SIGTERM), {}, 143],
    [
      'a fault',
      (pty) => pty.signal(SIGUSR2),
      { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(crash)}` },
      1,
    ],
  ]
  it.each(ways)('leaves the terminal as it was after %s', async (_, end, env, code) => {
    const pty = open(stateDirWith(runs), { env })
    await pty.shows(/▸Policy Loss/)
    expect(pty.isAlternate).toBe(true)
    end(pty)
    expect(await pty.ended()).toEqual({ code, restored: true })
    expect(pty.isAlternate).toBe(false)
    expect(pty.sent).toMatch(/\x1b\[\?25h\x1b\[\?1049l/)
    // What is said of a fault stands where the shell goes on.
    expect(pty.screen.includes('boom')).toBe(code === 1)
  })

  it('sends each frame as one, without colours where NO_COLOR is set', async () => {
    const pty = open(stateDirWith(runs), { env: { NO_COLOR: '1' } })
    await pty.shows(/▸Policy Loss/)
    pty.keys('q')
    await pty.ended()
    const styles = Array.from(pty.sent.matchAll(/\x1b\[([\d;]*)m/g), (match) => match[1]!.split(';').map(Number))
    expect(styles.flat().filter((n) => n >= 30)).toEqual([])
    const [before, ...frames] = pty.sent.split('\x1b[?2026h')
    expect(before).not.toContain('\x1b[2J')
    for (const frame of frames) expect(frame.split('\x1b[?2026l')[1]!).not.toMatch(/\x1b\[\d+;\d+H/)
  })

  it('shows foreign text without obeying it', async () => {
    const key = 'x/\u001b]0;owned\u0007\u009b31m損失'
    const pty = open(stateDirWith({ '\u001b[2Jname': series(key, (step) => step) }))
    const screen = await pty.shows(/\\x1b\[2Jname finished/)
    expect(screen).toContain('\\x1b]0;owned\\x07\\x9b31m損失')
    pty.keys('q')
    await pty.ended()
    expect(pty.sent).not.toMatch(/\x1b\]|\x07|\u009b/)
  })
})

describe('top elsewhere', () => {
  it('prints the account and last values once, or as JSON', async () => {
    const stateDir = stateDirWith(runs)
    const { code, stdout } = await spanbridge(['top', '--state-dir', stateDir])
    expect(code).toBe(0)
    const text = stdout.toString()
    expect(text).toMatch(/^ppo \(01K\d+2\) finished as of [^\n]*\n {2}numbers received 5,200 = 5,200 points\n/)
    expect(text).toMatch(/trainer +Approx\. KL +0\.2 !! +0\.01 +0\.2 +400 +▁+█+\n/)
    const json = await spanbridge(['top', 'older', '--json', '--state-dir', stateDir])
    expect(JSON.parse(json.stdout.toString())).toMatchObject({
      runs: [{ name: 'older', status: 'finished', lastStep: 400, metrics: [{ key: 'x/loss', last: { value: 400 } }] }],
    })
    const none = await spanbridge(['top', 'oldr', '--state-dir', stateDir])
    expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('did you mean older?')])
    const empty = await spanbridge(['top', '--state-dir', temporaryDirectory()])
    expect(empty.stdout.toString()).toMatch(/^no runs in /)
  })
})
