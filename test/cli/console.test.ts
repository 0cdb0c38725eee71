import { describe, expect, it } from 'vitest'
import { spanbridge, start, startBridge, statusOf, SPANBRIDGE, temporaryDirectory } from '../support/spanbridge.ts'

const EVENT = '{"level":"INFO","target":"ppo","fields":{"message":"done","category":"TRAINER","step":1,"loss":0.5}}\n'

describe('--console', () => {
  it('shows events as lines where they were written, and passes everything else', async () => {
    const { stdout, stderr, code } = await spanbridge([
      'exec',
      '--console',
      '--state-dir',
      temporaryDirectory(),
      '--',
      'sh',
      '-c',
      `echo plain; printf '%s' '${EVENT}' >&2; echo '{"step":2,"loss":NaN}'; echo oops >&2; exit 3`,
    ])
    expect(code).toBe(3)
    expect(stdout.toString().split('\n').sort()).toEqual(['', 'MISC - Step: 2 | Loss: NaN', 'plain'])
    expect(stderr).toContain('TRAINER - done | Step: 1 | Loss: 0.500000\noops\n')
  })

  it('with --quiet shows events only', async () => {
    const { stdout } = await spanbridge(
      ['--console', '--quiet', '--state-dir', temporaryDirectory()],
      `plain\n${EVENT}`,
    )
    expect(stdout.toString()).toBe('TRAINER - done | Step: 1 | Loss: 0.500000\n')
  })

  it('has colours on a terminal only, and not with NO_COLOR', async () => {
    const inTerminal = async (env: Record<string, string>): Promise<string> => {
      const command = `printf '%s' '${EVENT}' | ${SPANBRIDGE} --console --state-dir ${temporaryDirectory()}`
      // script gives the command a terminal of its own for its output.
      const running = start('script', ['-qec', command, '/dev/null'], { env: { TERM: 'xterm', ...env } })
      return (await running.finished).stdout.toString()
    }
    expect(await inTerminal({})).toContain('\x1b[1;35mTRAINER\x1b[0m - done')
    expect(await inTerminal({ NO_COLOR: '1' })).toContain('TRAINER - done')
    expect(await inTerminal({ NO_COLOR: '1' })).not.toContain('\x1b[1;35m')
    expect(await inTerminal({ NO_COLOR: '' })).toContain('\x1b[1;35m')
  })

  it('never makes the trainer wait for a terminal that stands still: what is not shown is counted', async () => {
    const stateDir = temporaryDirectory()
    const running = startBridge([
      'exec',
      '--console',
      '--state-dir',
      stateDir,
      '--',
      'sh',
      '-c',
      `i=0; while [ $i -lt 4 ]; do seq 1 20000 | sed 's/.*/{"step":&,"loss":0.5,"note":"${'x'.repeat(80)}"}/'; i=$((i+1)); done; echo all written >&2`,
    ])
    running.child.stdout.pause()
    await running.seen('all written')
    running.child.stdout.resume()
    const { code, stderr } = await running.finished
    expect(code).toBe(0)
    const [run] = await statusOf(stateDir)
    expect(run!.points).toBe(80_000)
    expect(run!.console.skipped).toBeGreaterThan(0)
    expect(stderr).toContain(
      `the terminal was slow: ${run!.console.skipped.toLocaleString('en-US')} events were not shown`,
    )
    const shown = Buffer.concat(running.output.stdout).toString().trimEnd().split('\n').length
    expect(shown + run!.console.skipped).toBe(80_000)
  })
})

it('events that come in a burst are all shown to a reader that keeps up', async () => {
  const lines = Array.from({ length: 60_000 }, (_, i) => `{"step":${i},"loss":0.5}\n`).join('')
  const { stdout, stderr } = await spanbridge(['--console', '--state-dir', temporaryDirectory()], lines)
  expect(stderr).not.toContain('the terminal was slow')
  expect(stdout.toString().split('\n').length).toBe(60_001)
})

describe('the account at the end', () => {
  it('has the last value, the range and the outline of each series under its label', async () => {
    const lines = Array.from({ length: 8 }, (_, i) => `{"category":"TRAINER","step":${i},"loss":${8 - i},"sps":1e-5}\n`)
    const { stderr } = await spanbridge(
      ['--quiet', '--state-dir', temporaryDirectory(), '--labels', 'sps=SPS'],
      `${lines.join('')}{"category":"TRAINER","step":8,"loss":NaN}\n`,
    )
    const rows = stderr.split('\n').map((line) =>
      line
        .replace('spanbridge:', '')
        .trim()
        .split(/\s{2,}/),
    )
    expect(rows).toContainEqual(['trainer', 'Loss', 'NaN', '1', '8', '8', '█▇▆▅▄▃▂▁· 1 NaN'])
    expect(rows).toContainEqual(['trainer', 'SPS', '1e-5', '1e-5', '1e-5', '7', '▄▄▄▄▄▄▄▄'])
  })

  it('names the first line of each reason why something was skipped, without its secrets, and so does status', async () => {
    const stateDir = temporaryDirectory()
    const { stderr } = await spanbridge(
      ['--quiet', '--state-dir', stateDir],
      `{"api_key":"sk-0123456789abcdef","a":1}\n{"b":2}\n{broken\n{"step":1e300,"c":3}\n${EVENT}{"password":["hunter3"],"d":1}\n{"token":"broken-and-secret`,
    )
    expect(stderr).not.toMatch(/hunter3|broken-and-secret/)
    expect(stderr).toContain('3 no_step, the first in: {"api_key":"[redacted]","a":1}')
    expect(stderr).toContain('1 invalid_json, the first in: {broken')
    expect(stderr).toContain('1 step_out_of_range, the first in: {"step":1e300,"c":3}')
    const [run] = await statusOf(stateDir)
    expect(Object.keys(run!.examples).sort()).toEqual(['invalid_json', 'no_step', 'step_out_of_range'])
  })

  it('counts the lines of which it can show nothing', async () => {
    const { stderr } = await spanbridge(
      ['--quiet', '--state-dir', temporaryDirectory()],
      `{"step":1,"tokens":5,"loss":nan}\n{"step":2,"loss":0.5,"note":"${'x'.repeat(1_100_000)}"}\n${EVENT}`,
    )
    expect(stderr).toMatch(/: {3}1 invalid_json\n/)
    expect(stderr).toMatch(/: {3}1 too_long\n/)
  })

  it('shows nothing of a broken line with a secret in it, and of a list what its name allows', async () => {
    const stateDir = temporaryDirectory()
    const { stderr } = await spanbridge(
      ['--quiet', '--state-dir', stateDir],
      '{"passwords":["hunter3",["hunter4"]],"d":1}\n{"message":"startup","password":"hunter2"',
    )
    expect(stderr).toContain('{"passwords":["[redacted]",["[redacted]"]],"d":1}')
    expect(stderr).not.toContain('hunter')
    expect((await statusOf(stateDir))[0]!.examples).not.toHaveProperty('torn')
  })

  it('counts what the filter kept out', async () => {
    const stateDir = temporaryDirectory()
    await spanbridge(['--quiet', '--state-dir', stateDir, '--filter', 'info,ppo=warn'], `${EVENT}{"step":1,"a":2}\n`)
    const [run] = await statusOf(stateDir)
    expect(run).toMatchObject({ points: 1, skipped: { filtered: 1 }, received: { numbers: 2, events: 2 } })
  })
})
