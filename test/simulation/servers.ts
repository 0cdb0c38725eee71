import { MlflowModel, idOf, type ModelRun, type StoredPoint } from '../support/mlflow-model.ts'
import { TraceRequest } from '../otlp/oracle.ts'
import type { Answer, Request } from './network.ts'

export const MLFLOW = 'mlflow.test'
export const SINK = 'sink.test'

/** Most points of a request whose points the server may have already: a large one costs it seconds. */
const PIECE_POINTS = 50
/** Milliseconds for a point that is stored already, for each row of its run; a hundred times those of a real server, for runs are small here. */
const REPEAT_MS = 0.005

/** Steps of points of this key come again, as the same rows. */
export const SAME_KEY = 'same'
/** A key whose every point is refused. */
export const REFUSED_KEY = 'refused'
/** A value that is refused, of whatever key. */
export const REFUSED_VALUE = -666

/** A value of params that is refused, of whatever name. */
export const REFUSED_TEXT = 'refused'

/** The servers of a schedule, and what they have to find fault with. */
export class Servers {
  readonly mlflow = new MlflowModel()
  /** Highest value by run and key: values count up. */
  readonly #highest = new Map<string, number>()
  /** How often each span has been taken, by its id. */
  readonly spans = new Map<string, number>()
  readonly violations: string[] = []
  /** What a process knew of the requests that it had sent has died with its memory. */
  isLenient = false
  /** Journals may drop a batch that is on its way, and go on behind it. */
  mayOvertake = false
  /** When each row left a process first, by run and row. */
  readonly #sentAt = new Map<string, number>()
  /** Rows that are stored; `'late'`: after the server had said that they were not there, which is nobody's fault. */
  readonly #stored = new Map<string, 'unasked' | 'late'>()
  /** The status that was last asked for, by run; ... */
  readonly #statusSent = new Map<string, string>()
  /** ... and runs that have got one which was asked for before that: the network has carried it out late. */
  readonly overtaken = new Set<string>()
  /** When the server last said of a run that it lacks what was sent: it was asked, or it refused it. */
  readonly #askedAt = new Map<string, number>()
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
    this.mlflow.refuses = ({ key, value }) =>
      key === REFUSED_KEY
        ? `Invalid value for parameter 'metrics[0].name': '${key}'`
        : value === REFUSED_VALUE
          ? `Got invalid value ${value} for metric '${key}'`
          : null
    this.mlflow.refusesParam = (name, value) => (value === REFUSED_TEXT ? `'${name}' is not allowed` : null)
    this.mlflow.onPoints = (run, points) => this.#watch(run, points)
  }

  serve = (request: Request): Answer => (request.host === SINK ? this.#sink(request) : this.#mlflow(request))

  #mlflow({ method, path, body }: Request): Answer {
    if (path === '/version') return { status: 200, type: 'text/plain', body: this.mlflow.version }
    const url = new URL(path, `http://${MLFLOW}`)
    if (url.searchParams.has('run_ids')) this.#askedAt.set(url.searchParams.get('run_ids')!, this.#now())
    if (path.endsWith('runs/update')) {
      const { run_id: run, status } = JSON.parse(body as string) as { run_id: string; status: string }
      if (status !== this.#statusSent.get(run)) this.overtaken.add(run)
    }
    const before = this.mlflow.repeats
    const { status, json } = this.mlflow.answer({
      path: url.pathname.replace('/api/2.0/mlflow/', ''),
      body: method === 'GET' ? Object.fromEntries(url.searchParams) : JSON.parse(body as string),
    })
    if (status === 400 && path.endsWith('runs/log-batch'))
      this.#askedAt.set((JSON.parse(body as string) as { run_id: string }).run_id, this.#now())
    const rows = [...this.mlflow.runs.values()].reduce((sum, { points }) => Math.max(sum, points.size), 0)
    const ms = (this.mlflow.repeats - before) * rows * REPEAT_MS
    return { status, type: 'application/json', body: JSON.stringify(json), ms }
  }

  #sink({ body }: Request): Answer {
    const request = TraceRequest.toObject(TraceRequest.decode(body as Uint8Array), { bytes: Array, defaults: true })
    for (const { scopeSpans } of request['resourceSpans'])
      for (const { spans } of scopeSpans)
        for (const { spanId } of spans) {
          const id = Buffer.from(spanId).toString('hex')
          this.spans.set(id, (this.spans.get(id) ?? 0) + 1)
        }
    return { status: 200, type: 'application/x-protobuf', body: '' }
  }

  /** A request leaves a process: points that it may know to be stored must not be in a large one. */
  sent({ host, path, body }: Request): void {
    if (host === MLFLOW && path.endsWith('runs/update')) {
      const { run_id: run, status } = JSON.parse(body as string) as { run_id: string; status: string }
      this.#statusSent.set(run, status)
    }
    if (host !== MLFLOW || !path.endsWith('runs/log-batch')) return
    const { run_id: run, metrics = [] } = JSON.parse(body as string) as { run_id: string; metrics?: StoredPoint[] }
    let again = 0
    for (const point of metrics) {
      if (point.key === SAME_KEY) continue
      const row = `${run} ${idOf(point)}`
      if (!this.#sentAt.has(row)) this.#sentAt.set(row, this.#now())
      if (this.#stored.get(row) === 'unasked') again += 1
    }
    if (metrics.length > PIECE_POINTS && again > 0 && !this.isLenient)
      this.violations.push(`${again} points that are stored come again in a request of ${metrics.length}`)
  }

  /** Nothing overtakes an earlier point of its series. */
  #watch(run: ModelRun, points: readonly StoredPoint[]): void {
    for (const point of points) {
      const row = `${run.info.run_id} ${idOf(point)}`
      if (this.#stored.has(row)) continue
      const asked = this.#askedAt.get(run.info.run_id) ?? -1
      this.#stored.set(row, asked >= this.#sentAt.get(row)! ? 'late' : 'unasked')
      if (point.key === SAME_KEY || typeof point.value !== 'number' || point.value < 0) continue
      const series = `${run.info.run_id} ${point.key}`
      const highest = this.#highest.get(series) ?? 0
      if (point.value < highest && !this.mayOvertake && !this.isLenient)
        this.violations.push(`${point.key}: point ${point.value} arrives behind point ${highest}`)
      this.#highest.set(series, Math.max(highest, point.value))
    }
  }
}
