import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, inject, it } from 'vitest'
import { expectConserved } from '../support/account.ts'
import { MlflowApi } from '../support/mlflow.ts'
import { start, statusOf, temporaryDirectory } from '../support/spanbridge.ts'

const root = new URL('../../', import.meta.url)
const entry = new URL('src/index.ts', root).href
const example = readFileSync(new URL('examples/library.mjs', root), 'utf8')

/** Runs a program that imports the library from the sources; `before`: a command that runs it in its turn. */
const run = (program: string, env: Record<string, string>, before: readonly string[] = []) => {
  const [command, ...rest] = [...before, process.execPath]
  return start(
    command,
    [
      ...rest,
      '--disable-warning=ExperimentalWarning',
      '--input-type=module',
      '-e',
      program.replace("'spanbridge'", `'${entry}'`),
    ],
    {
      cwd: fileURLToPath(root),
      env,
    },
  ).finished
}

describe('the library', () => {
  it('puts the spans of a process into a run of its own: timeline and charts in MLflow', async () => {
    const stateDir = temporaryDirectory()
    const url = inject('mlflowUrl')
    const { code, stderr } = await run(example, { SPANBRIDGE_STATE_DIR: stateDir, MLFLOW_TRACKING_URI: url })
    expect(code, stderr).toBe(0)
    const [found] = await statusOf(stateDir)
    expectConserved(found!)
    expect(found).toMatchObject({
      name: 'library',
      source: 'library',
      status: 'finished',
      points: 300,
      journaled: { spans: 100 },
    })
    const api = new MlflowApi(url)
    const { runId } = found!.destinations[0]!
    const steps = (await api.history(runId!, 'trainer/loss')).map(({ step }) => step).sort((a, b) => a - b)
    expect(steps).toEqual(Array.from({ length: 100 }, (_, i) => i + 1))
    expect((await api.run(runId!)).data.params).toContainEqual({ key: 'learning_rate', value: '0.1' })
    expect((await api.traces(runId!)).length).toBe(100)
  })

  it('finishes the run of a process that forgets to, and keeps none from ending', async () => {
    const stateDir = temporaryDirectory()
    const { code, stderr } = await run(example.replace('await bridge.finish()', ''), { SPANBRIDGE_STATE_DIR: stateDir })
    expect(code, stderr).toBe(0)
    expect((await statusOf(stateDir))[0]).toMatchObject({ status: 'finished', points: 300 })
  })

  it('goes on after a flush that a program waits for, though it has nothing else to do meanwhile', async () => {
    const stateDir = temporaryDirectory()
    const program = `import { startBridge } from 'spanbridge'
      import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base'
      const bridge = startBridge()
      const tracer = new BasicTracerProvider({ spanProcessors: [bridge.spanProcessor] }).getTracer('loop')
      for (let i = 0; i < 3; i += 1) {
        for (let k = 0; k < 5; k += 1) tracer.startSpan('update', { attributes: { step: i * 5 + k, loss: k } }).end()
        await bridge.spanProcessor.forceFlush()
      }`
    const { code, stderr } = await run(program, { SPANBRIDGE_STATE_DIR: stateDir })
    expect(code, stderr).toBe(0)
    expect((await statusOf(stateDir))[0]).toMatchObject({ status: 'finished', journaled: { spans: 15 } })
  })

  it.runIf(process.platform === 'linux')(
    'lowers the priority of its own thread and of no other, from wherever that is',
    async () => {
      const program = `import { startBridge } from 'spanbridge'
      import { readdirSync, readFileSync } from 'node:fs'
      import { readFile } from 'node:fs/promises'
      const priorities = () => readdirSync('/proc/self/task').map((task) => {
        const line = readFileSync('/proc/self/task/' + task + '/stat', 'utf8')
        return { name: line.slice(line.indexOf('(') + 1, line.lastIndexOf(')')), nice: Number(line.slice(line.lastIndexOf(')') + 2).split(' ')[16]) }
      })
      const own = priorities()[0].nice
      const bridge = startBridge()
      const lower = () => priorities().filter(({ nice }) => nice !== own)
      for (let i = 0; i < 300 && lower().length === 0; i += 1) await new Promise((then) => setTimeout(then, 10))
      await readFile('/proc/self/stat')
      console.log(JSON.stringify(lower().map(({ nice }) => nice === Math.min(19, own + 10))))
      await bridge.finish()`
      const env = { SPANBRIDGE_STATE_DIR: temporaryDirectory() }
      const { code, stdout, stderr } = await run(program, env, ['nice', '-n', '5'])
      expect(code, stderr).toBe(0)
      expect(JSON.parse(stdout.toString())).toEqual([true])
    },
  )

  it('tells everything that is wrong with its settings', async () => {
    const program = "import { startBridge } from 'spanbridge'\nstartBridge({ settings: { runnName: 'x', quiet: 7 } })"
    const { code, stderr } = await run(program, { SPANBRIDGE_STATE_DIR: temporaryDirectory() })
    expect(code).toBe(1)
    expect(stderr).toContain('quiet: expected true or false, got 7')
    expect(stderr).toContain('runnName: there is no such setting; did you mean runName?')
  })

  it('is documented with the example that runs here', () => {
    const [, block] = /```js\n(.*?)```/s.exec(readFileSync(new URL('docs/library.md', root), 'utf8'))!
    expect(example).toContain(block)
  })
})
