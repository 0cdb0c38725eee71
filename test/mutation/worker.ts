import { fork, type ChildProcess } from 'node:child_process'
import { globSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { SCRATCH } from './copy.ts'
import { ACTIVE, type Answer, type Task } from './messages.ts'

const HEAP_MB = 1_000

/** What a process that starts may need, beside the time of its task. */
const START_MS = 10_000

/** A process that has done so many makes room for a new one: memory is not all given back. */
const MOST_TASKS = 300

const running = new Set<ChildProcess>()
process.once('exit', () => running.forEach(kill))
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

/** With the processes that it has started, and what its schedules have left in memory. */
function kill({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
  for (const left of globSync(`/dev/shm/spanbridge-simulation-${pid}-*`)) rmSync(left, { recursive: true, force: true })
}

/** A process in the copy that does one task after the other; it is killed where one does not end, and another one follows. */
export class Worker {
  readonly #copy: string
  readonly #script: string
  readonly #mutant: string | null
  #child: ChildProcess | null = null
  #tasks = 0

  /** `mutant`: the one that is on from the start. */
  constructor(copy: string, script: 'simulation.ts' | 'tests.ts', mutant: string | null = null) {
    this.#copy = copy
    this.#script = script
    this.#mutant = mutant
  }

  get isRunning(): boolean {
    return this.#child !== null
  }

  /** An answer that says so where the process dies, or needs more than `ms`. */
  ask(task: Task, ms: number): Promise<Answer> {
    this.#tasks += 1
    if (this.#tasks > MOST_TASKS) this.stop()
    const isNew = this.#child === null
    const child = (this.#child ??= this.#start())
    return new Promise((resolve) => {
      const end = (noticed: string): void => {
        this.stop()
        done({ noticed: `${task.what}: ${noticed}`, covered: [], loading: [], ms: 0 })
      }
      const onExit = (): void => end('the process dies')
      const timer = setTimeout(() => end('does not end'), isNew ? ms + START_MS : ms)
      const done = (answer: Answer): void => {
        clearTimeout(timer)
        child.off('message', done).off('exit', onExit)
        resolve(answer)
      }
      child.on('message', done).on('exit', onExit)
      child.send(task, (error) => {
        if (error !== null) onExit()
      })
    })
  }

  /** Kills the process. */
  stop(): void {
    if (this.#child !== null) kill(this.#child)
    this.#child = null
  }

  #start(): ChildProcess {
    this.#tasks = 1
    const env = {
      ...process.env,
      TMPDIR: join(this.#copy, SCRATCH),
      ...(this.#mutant === null ? {} : { [ACTIVE]: this.#mutant }),
    }
    const child = fork(join(this.#copy, 'test/mutation', this.#script), {
      cwd: this.#copy,
      env,
      detached: true,
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      execArgv: ['--disable-warning=ExperimentalWarning', `--max-old-space-size=${HEAP_MB}`],
    })
    running.add(child)
    child.once('exit', () => {
      running.delete(child)
      if (this.#child === child) this.#child = null
    })
    return child
  }
}
