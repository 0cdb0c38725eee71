import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, it } from 'vitest'
import { get } from '../support/page.ts'
import { pageOf } from '../support/served.ts'
import { SPANBRIDGE, spanbridge, start, statusOf, temporaryDirectory } from '../support/spanbridge.ts'

/** A block of `docs/page.md`, by what is said before it. */
function block(mark: string): string {
  const text = readFileSync(new URL('../../docs/page.md', import.meta.url), 'utf8')
  return new RegExp(`<!-- run by test/web: ${mark} -->\n\`\`\`sh\n([^]*?)\`\`\``).exec(text)![1]!
}

const PATH = `${dirname(SPANBRIDGE)}:${process.env['PATH'] ?? ''}`

it('what docs/page.md has to be copied for view serves the page', async () => {
  const home = temporaryDirectory()
  const stateDir = join(home, '.local', 'state', 'spanbridge')
  const env = { HOME: home, PATH, SPANBRIDGE_WEB_LISTEN: '127.0.0.1:0' }
  expect((await spanbridge(['--quiet'], '{"step":1,"loss":1}\n', { env })).code).toBe(0)
  copyFileSync((await statusOf(stateDir))[0]!.journal, join(home, 'run.sqlite'))
  writeFileSync(join(home, 'train.jsonl'), '{"step":1,"loss":1}\n')
  for (const line of block('view').trim().split('\n')) {
    const running = start('sh', ['-c', `exec ${line}`], { env, cwd: home })
    const { json } = await get(await pageOf(running, stateDir), '/api/v1/state')
    expect(
      json.runs.map(({ points }: { points: number }) => points),
      line,
    ).toEqual(line.includes('train.jsonl') ? [1, 1] : [1])
    running.child.kill('SIGINT')
    expect((await running.finished).code).toBe(0)
  }
})

it('what docs/page.md has to be copied for the API answers', async () => {
  const home = temporaryDirectory()
  const env = { HOME: home, PATH, SPANBRIDGE_WEB_LISTEN: '127.0.0.1:0' }
  const running = start('sh', ['-c', 'exec spanbridge view'], { env })
  await pageOf(running, join(home, '.local', 'state', 'spanbridge'))
  const { stdout, stderr, code } = await start('sh', ['-euc', block('API')], { env }).finished
  expect(code, stderr).toBe(0)
  expect(JSON.parse(stdout.toString())).toMatchObject({ server: { kind: 'view', pid: running.child.pid } })
})
