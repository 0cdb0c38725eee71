import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { FakeMlflow } from '../support/fake-mlflow.ts'
import { daemon, ended, post, traceOf } from '../support/otlp-daemon.ts'
import { spanbridge, temporaryDirectory, type Finished } from '../support/spanbridge.ts'

/** A link, the clipboard, a title, colours with one byte, a device string, text that runs backwards, and new lines. */
const HOSTILE =
  '\x1b]8;;http://evil.test\x07x\x1b]8;;\x07 \x1b]52;c;ZXZpbA==\x07 \x1b]0;t\x1b\\ \u009b31m \u0090q\u009c \x7f\b\r\n' +
  'spanbridge: forged \u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029\0'

// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const HARMFUL = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/

/** What an output holds that a terminal may obey, or a reader misread. */
function harmIn(finished: Finished): string[] {
  return [finished.stdout.toString(), finished.stderr].flatMap((text) => [
    ...(HARMFUL.exec(text) ?? []),
    ...(/^spanbridge: forged/m.exec(text) ?? []),
  ])
}

it('foreign text harms no terminal, wherever it is shown', async () => {
  const mlflow = await FakeMlflow.start()
  const body = JSON.stringify({ error_code: 'PERMISSION_DENIED', message: HOSTILE })
  mlflow.fault = (_request, response) => (response.writeHead(403).end(body), true)
  const stateDir = temporaryDirectory()
  const tracker = ['--mlflow-tracking-uri', mlflow.url]
  const flags = ['--state-dir', stateDir, '--shutdown-deadline', '1s', ...tracker]
  const event = { message: HOSTILE, category: HOSTILE, step: 1, [HOSTILE]: 1, text: HOSTILE, list: [HOSTILE] }
  const lines = [
    event,
    { ...event, level: 'ERROR' },
    { loss: 1, note: HOSTILE },
    { message: 'startup', [HOSTILE]: HOSTILE },
    { step: 2, loss: 1, span: { name: HOSTILE }, spans: [] },
  ].map((line) => `${JSON.stringify(line)}\n`)
  // As a program may write it that escapes nothing beyond ASCII's controls, too.
  const raw = lines.concat(`{"step":3,"a\u009bb":1,"message":"c\u202ed"}\n`).join('')
  const run = await spanbridge(['--console', ...flags, '--run-name', HOSTILE.replaceAll('\0', '')], raw)
  const known = 'PERMISSION_DENIED'
  expect([run.stderr.includes(known), run.stdout.toString().includes('\\x1b]52;c')]).toEqual([true, true])
  expect(harmIn(run)).toEqual([])

  const sent = traceOf(
    1,
    [
      [1, 0, { step: 1, [HOSTILE]: 1 }],
      [2, 0, { loss: 1 }],
    ],
    { 'service.name': HOSTILE },
  )
  const { running, url } = await daemon(['--otlp-endpoint', mlflow.url, ...flags.slice(2)], stateDir)
  expect(await post(url, sent)).toBe(200)
  expect(harmIn(await ended(running))).toEqual([])

  const config = join(stateDir, 'spanbridge.yaml')
  writeFileSync(config, JSON.stringify({ runName: HOSTILE, params: { [HOSTILE]: HOSTILE }, [HOSTILE]: 1 }))
  for (const words of [
    ['status'],
    ['status', '--json'],
    ['sync'],
    ['check', '--config', config],
    ['check', '--config', config, '--json'],
  ])
    expect(harmIn(await spanbridge([...words, ...flags])), words.join(' ')).toEqual([])
  const contract = await spanbridge(['check', '--contract', 'rl'], raw)
  expect(harmIn(contract)).toEqual([])
  const shown = JSON.parse((await spanbridge(['status', '--json', ...flags])).stdout.toString()) as {
    runs: { name: string }[]
  }
  expect(shown.runs.map(({ name }) => name)).toContain(HOSTILE)
})
