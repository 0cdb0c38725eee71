import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { readFlags } from '../../src/config/flags.ts'
import { loadSettings } from '../../src/config/load.ts'
import { spanbridge, temporaryDirectory } from '../support/spanbridge.ts'

const SECRET = 'cnry0123456789abcdef'

/** Files in which a secret stands where the parser, or the check of a setting, takes offence. */
const FILES = [
  `mlflow: {password: *${SECRET}}`,
  `mlflow.password: |${SECRET}`,
  `mlflow.password: [${SECRET}]`,
  `mlflow.token: {is: ${SECRET}}`,
  `otlp.headers: ${SECRET}`,
  `mlflow: ${SECRET}`,
  `mlflow: [password, ${SECRET}]`,
  `- a\nmlflow.password: ${SECRET}`,
  `mlflow.password: "a" ${SECRET}`,
  `mlflow.trackingUri: postgresql://me:${SECRET}@h/db`,
  `otlp.endpoint: grpc://me:${SECRET}@h:4317`,
  `otlp.endpoint: http://me:${SECRET}%@h:4317`,
]

it.each(FILES)('a problem of the settings names no secret: %j', (text) => {
  const path = join(temporaryDirectory(), 'spanbridge.yaml')
  writeFileSync(path, text)
  const { problems } = loadSettings(readFlags(['--config', path], false), {})
  expect(problems.length).toBeGreaterThan(0)
  expect(problems.join('\n')).not.toContain(SECRET.slice(0, 6))
})

it.each<[flags: string[], env: Record<string, string>]>([
  [[], { OTEL_EXPORTER_OTLP_HEADERS: SECRET.slice(0, 10) }],
  [['--run-name', `--mlflow-token=${SECRET}`], {}],
  [[`--mlflow-tokken=${SECRET}`], {}],
  [[], { MLFLOW_TRACKING_URI: `me:${SECRET}@host:5000` }],
  [[], { MLFLOW_TRACKING_URI: 'http://h', http_proxy: `ftp://me:${SECRET}@h` }],
])('nor where flags and variables are wrong: %j %j', async (flags, env) => {
  const { code, stdout, stderr } = await spanbridge([...flags, '--state-dir', temporaryDirectory()], 'x\n', { env })
  expect([code, stdout.toString()]).toEqual([2, 'x\n'])
  expect(stderr).toMatch(/expected|there is no such/)
  expect(stderr).not.toContain(SECRET.slice(0, 6))
})
