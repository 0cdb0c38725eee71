export interface StoredPoint {
  key: string
  value: number | string
  timestamp: number
  step: number
}

/** A run as the model keeps it. */
export interface ModelRun {
  info: {
    run_id: string
    experiment_id: string
    status: string
    start_time: number
    end_time?: number
    lifecycle_stage: string
  }
  tags: Map<string, string>
  params: Map<string, string>
  points: Map<string, StoredPoint>
}

/** A request of MLflow's REST interface: the path behind `/api/2.0/mlflow/`, and the body or the query. */
export interface ModelRequest {
  path: string
  // oxlint-disable-next-line typescript/no-explicit-any -- JSON of any shape
  body: any
}

export interface ModelAnswer {
  status: number
  json: object
}

const invalid = (message: string): ModelAnswer => ({
  status: 400,
  json: { error_code: 'INVALID_PARAMETER_VALUE', message },
})

const missing: ModelAnswer = { status: 404, json: { error_code: 'RESOURCE_DOES_NOT_EXIST', message: 'No such run' } }

/**
 * What an MLflow server knows and answers, as far as tests need it (mlflow/store/tracking/sqlalchemy_store.py): points
 * are a set; of one request they are stored all or not at all; params are written once; runs are made anew with each
 * request.
 */
export class MlflowModel {
  /** `/version`; before 3.16 a NaN that is sent once more violates the primary key. */
  version = '3.17.2'
  /** Servers before 2.10 cannot be asked for the steps of a range. */
  knowsInterval = true
  readonly runs = new Map<string, ModelRun>()
  /** Points stored again. */
  repeats = 0
  /** Why a point is refused, or null. */
  refuses: (point: StoredPoint) => string | null = () => null
  /** The same for a param. */
  refusesParam: (name: string, value: string) => string | null = () => null
  /** Hears of the points of a request that is taken, before they are stored. */
  onPoints: (run: ModelRun, points: readonly StoredPoint[]) => void = () => {}

  answer({ path, body }: ModelRequest): ModelAnswer {
    if (path === 'runs/create') return this.#create(body)
    if (path === 'runs/search') {
      const wanted = /'(.*)'/.exec(body.filter)![1]
      const found = [...this.runs.values()].filter(
        ({ tags, info }) => info.lifecycle_stage === 'active' && tags.get('spanbridge.run') === wanted,
      )
      return { status: 200, json: { runs: found.map(shown) } }
    }
    if (path === 'metrics/get-history-bulk-interval' && this.knowsInterval) return this.#history(body)
    const run = this.runs.get(body.run_id)
    if (run === undefined) return missing
    if (path === 'runs/get') return { status: 200, json: { run: shown(run) } }
    if (path === 'runs/delete') {
      run.info.lifecycle_stage = 'deleted'
      return { status: 200, json: {} }
    }
    if (run.info.lifecycle_stage !== 'active')
      return invalid(`The run ${body.run_id} must be in the 'active' state. Current state is deleted.`)
    if (path === 'runs/update') {
      Object.assign(run.info, { status: body.status, end_time: body.end_time })
      return { status: 200, json: { run_info: run.info } }
    }
    return path === 'runs/log-batch' ? this.#logBatch(run, body) : missing
  }

  // oxlint-disable-next-line typescript/no-explicit-any -- JSON of any shape
  #create(body: any): ModelAnswer {
    const run_id = `run${this.runs.size}`
    const { experiment_id, start_time } = body
    const run: ModelRun = {
      info: { run_id, experiment_id, status: 'RUNNING', start_time, lifecycle_stage: 'active' },
      tags: new Map((body.tags as { key: string; value: string }[]).map(({ key, value }) => [key, value])),
      params: new Map(),
      points: new Map(),
    }
    this.runs.set(run_id, run)
    return { status: 200, json: { run: { info: run.info } } }
  }

  // oxlint-disable-next-line typescript/no-explicit-any -- JSON of any shape
  #history(query: any): ModelAnswer {
    const run = this.runs.get(query.run_ids)
    if (run === undefined) return missing
    const metrics = [...run.points.values()]
      .filter(({ key, step }) => key === query.metric_key && step >= query.start_step && step <= query.end_step)
      .slice(0, Number(query.max_results))
    return { status: 200, json: { metrics } }
  }

  // oxlint-disable-next-line typescript/no-explicit-any -- JSON of any shape
  #logBatch(run: ModelRun, body: any): ModelAnswer {
    for (const { key, value } of body.params ?? []) {
      if ((run.params.get(key) ?? value) !== value) return invalid(`Changing param values is not allowed: ${key}`)
      const why = this.refusesParam(key, value)
      if (why !== null) return invalid(why)
    }
    const points = (body.metrics ?? []) as StoredPoint[]
    for (const point of points) {
      const why = this.refuses(point)
      if (why !== null) return invalid(why)
    }
    if (!this.#knowsNaN && points.some((point) => point.value === 'NaN' && run.points.has(idOf(point))))
      return { status: 400, json: { error_code: 'BAD_REQUEST', message: 'UNIQUE constraint failed: metrics.key' } }
    if (points.length > 0) this.onPoints(run, points)
    for (const point of points) {
      const id = idOf(point)
      if (run.points.has(id)) this.repeats += 1
      run.points.set(id, point)
    }
    for (const { key, value } of body.params ?? []) run.params.set(key, value)
    for (const { key, value } of body.tags ?? []) run.tags.set(key, value)
    return { status: 200, json: {} }
  }

  get #knowsNaN(): boolean {
    const [major, minor] = this.version.split('.').map(Number) as [number, number]
    return major > 3 || (major === 3 && minor >= 16)
  }
}

/** What makes two points the same row. */
export const idOf = ({ key, step, timestamp, value }: StoredPoint): string => `${key}|${step}|${timestamp}|${value}`

function shown({ info, tags, params, points }: ModelRun): object {
  const latest = new Map<string, StoredPoint>()
  for (const point of points.values())
    if (point.step >= (latest.get(point.key)?.step ?? Number.NEGATIVE_INFINITY)) latest.set(point.key, point)
  const pairs = (map: ReadonlyMap<string, string>): object[] => [...map].map(([key, value]) => ({ key, value }))
  // What is empty is left out, as the server's JSON of protobuf does.
  const data = {
    ...(latest.size === 0 ? {} : { metrics: [...latest.values()] }),
    ...(params.size === 0 ? {} : { params: pairs(params) }),
    ...(tags.size === 0 ? {} : { tags: pairs(tags) }),
  }
  return { info, data }
}
