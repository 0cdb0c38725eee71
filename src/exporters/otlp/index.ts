import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { Dispatcher } from 'undici'
import type { Settings } from '../../config/settings.ts'
import { globs } from '../../layer/globs.ts'
import { withResource } from '../../otlp/copy.ts'
import { wrapBlocks, wrapTraces } from '../../otlp/rewrap.ts'
import { rowsIn } from '../../otlp/span-blocks.ts'
import { readPartialSuccess } from '../../otlp/status.ts'
import { traceIdOf } from '../../otlp/traces.ts'
import { VIA_HEADER } from '../../otlp/via.ts'
import { BodyMemory } from '../body-memory.ts'
import type { Exporter, ExporterOptions, Failure, OpenResult, RunToOpen, SendResult, SpanBatch } from '../exporter.ts'
import { beginningOf, createDispatcher, hiding, oneLine, proxiesOf, retryAfterMs, unreachable } from '../http.ts'
import { authorizationOf, baseOf, clientOptionsOf, MlflowClient } from '../mlflow/client.ts'
import { undici } from '../undici.ts'
import { readSpans } from './read-back.ts'

/** Spans of one request: what comes in one group commit from a few busy senders, which goes on with one commit more. */
const MAX_SPANS = 4000
/** MLflow links no more than 100 traces of one request to a run, and answers 200 all the same. */
const MAX_SPANS_MLFLOW = 100

/** Longest answer that is looked at. */
const MAX_ANSWER_BYTES = 1 << 20

const compressed = promisify(gzip)

/** Of all runs: one body is rarely under way together with another. */
const bodyMemory = new BodyMemory(1)

/** Where spans go, and how. */
interface Target {
  /** Without a user and password in it. */
  url: string
  headers: Record<string, string>
  dispatcher: Dispatcher
  /** Speaks to MLflow, where the spans go there; else null. */
  mlflow: MlflowClient | null
}

export const isOtlpConfigured = (settings: Settings): boolean =>
  settings['otlp.tracesEndpoint'] !== null ||
  settings['otlp.endpoint'] !== null ||
  (settings['mlflow.trackingUri'] !== null && settings['mlflow.traces'])

/** Where the settings send spans: as is, the endpoint and `/v1/traces`, or MLflow's. */
export function tracesUrl(settings: Settings): string {
  const endpoint = settings['otlp.endpoint']
  return (
    settings['otlp.tracesEndpoint'] ??
    (endpoint === null
      ? `${baseOf(settings['mlflow.trackingUri']!)}/v1/traces`
      : `${endpoint.replace(/\/+$/, '')}/v1/traces`)
  )
}

function targetOf(settings: Settings, given: Dispatcher | undefined): Target {
  const url = tracesUrl(settings)
  if (settings['otlp.tracesEndpoint'] === null && settings['otlp.endpoint'] === null) {
    const options = clientOptionsOf(settings)
    const dispatcher = given ?? createDispatcher(options)
    return { url, headers: authorizationOf(options), dispatcher, mlflow: new MlflowClient(options, dispatcher) }
  }
  const dispatcher =
    given ??
    createDispatcher({
      insecureTls: false,
      serverCertPath: settings['otlp.certificate'],
      clientCertPath: settings['otlp.clientCertificate'],
      clientKeyPath: settings['otlp.clientKey'],
      proxy: proxiesOf(settings),
    })
  return { ...withUserAsHeader(url, settings['otlp.headers']), dispatcher, mlflow: null }
}

/** A user and password in an address become a header, unless there is one: the address itself is shown and kept. */
function withUserAsHeader(
  address: string,
  headers: Readonly<Record<string, string>>,
): { url: string; headers: Record<string, string> } {
  const url = new URL(address)
  const user = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
  url.username = ''
  url.password = ''
  const isNamed = user !== ':' && headers['authorization'] === undefined
  const authorization = `Basic ${Buffer.from(user).toString('base64')}`
  return { url: url.href, headers: { ...(isNamed ? { authorization } : {}), ...headers } }
}

/** Sends spans as they came, by OTLP/HTTP in protobuf, to MLflow's traces or to any collector. */
export function createOtlp({ settings, via, ...given }: ExporterOptions): Exporter {
  const { url, headers, dispatcher, mlflow } = targetOf(settings, given.dispatcher)
  const isMlflow = mlflow !== null
  const isCopied = globs(settings['otlp.resourceOntoSpans'])
  const copiesAny = settings['otlp.resourceOntoSpans'].length > 0
  const isCompressed = settings['otlp.compression'] === 'gzip'
  // A query may hold a key.
  const address = url.replace(/[?#].*$/s, '')
  const who = isMlflow ? `MLflow at ${address}` : `the OTLP destination ${address}`
  const hide = hiding(headers)
  let runHeaders: Record<string, string> = {}
  /** Run that traces have to be linked to one by one, for a server that does not do it by itself. */
  let linkTo: string | null = null

  const requestOf = ({ blocks }: SpanBatch): Uint8Array =>
    copiesAny
      ? wrapTraces([...rowsIn(blocks)].map((row) => withResource(row, isCopied)))
      : wrapBlocks(blocks, (bytes) => bodyMemory.take(bytes))

  const send = async (batch: SpanBatch, abort: AbortSignal): Promise<SendResult> => {
    const bytes = batch.count === 0 ? NO_SPANS : requestOf(batch)
    const body = isCompressed ? await compressed(bytes) : bytes
    let isAnswered = false
    if (!isCompressed) bodyMemory.lend(body)
    try {
      const response = await undici().request(url, {
        method: 'POST',
        headers: {
          ...headers,
          ...runHeaders,
          [VIA_HEADER]: via.header,
          'user-agent': 'spanbridge',
          'content-type': 'application/x-protobuf',
          ...(isCompressed ? { 'content-encoding': 'gzip' } : {}),
        },
        body,
        dispatcher,
        signal: abort,
      })
      isAnswered = true
      const answer = await beginningOf(response.body, MAX_ANSWER_BYTES)
      bodyMemory.giveBack(body)
      const result = judge(who, response, answer, hide)
      return result.kind === 'ok' && linkTo !== null && batch.count > 0 ? await link(linkTo, batch, abort) : result
    } catch (error) {
      return unreachable(who, error as NodeJS.ErrnoException, abort, isAnswered)
    }
  }

  /** Repeated without harm, as the spans are. What refuses the link has no quarrel with the spans. */
  const link = async (runId: string, { blocks }: SpanBatch, abort: AbortSignal): Promise<SendResult> => {
    const ids = new Set([...rowsIn(blocks)].map(({ bytes }) => `tr-${traceIdOf(bytes)}`))
    const answer = await mlflow!.post('traces/link-to-run', { run_id: runId, trace_ids: [...ids] }, abort)
    return answer.kind === 'retry' || answer.kind === 'unanswered' ? answer : { kind: 'ok' }
  }

  return {
    name: 'otlp',
    address,
    target: {},
    accepts: { spans: isMlflow ? MAX_SPANS_MLFLOW : MAX_SPANS },
    ...(isMlflow ? { after: 'mlflow' } : {}),
    timeoutMs: settings['otlp.timeout'],
    openRun: async (run: RunToOpen, abort): Promise<OpenResult> => {
      // Spans that went elsewhere are not here: a collector of another address, or another run of MLflow.
      if (run.isMoved && run.knownId !== null && run.knownId !== run.peer?.runId)
        return { kind: 'drop', error: new Error(`${who} has none of the spans`), noSuchRun: true }
      if (isMlflow && run.peer === null)
        return { kind: 'retry', error: new Error(`${who}: there is no run to put the spans into`) }
      if (mlflow !== null && run.peer !== null) linkTo = (await mlflow.isBefore(3, 14, abort)) ? run.peer.runId : null
      if (run.peer !== null)
        runHeaders = { 'x-mlflow-run-id': run.peer.runId, 'x-mlflow-experiment-id': run.peer.group ?? '0' }
      return { kind: 'ok', runId: run.peer?.runId ?? run.run, made: false, page: null }
    },
    send: async (_runId, batch, abort) =>
      batch.kind === 'spans' ? send(batch, abort) : batch.count === 0 ? send(NOTHING, abort) : notSpans(batch.kind),
    ...(mlflow === null ? {} : { readBack: { spans: (traceIds, abort) => readSpans(mlflow, traceIds, abort) } }),
    closeRun: async () => ({ kind: 'ok' }),
    close: async () => {
      await Promise.all([dispatcher.destroy(), mlflow?.close()])
    },
  }
}

const NOTHING: SpanBatch = { kind: 'spans', first: 0, count: 0, blocks: [] }

/** A request with a resource and no spans: MLflow takes an empty one for a mistake. */
const NO_SPANS = new Uint8Array([0x0a, 0x02, 0x0a, 0x00])

const notSpans = (kind: string): Failure => ({ kind: 'drop', error: new Error(`OTLP traces take no ${kind}`) })

/** Which answers are worth another try, as the specification lists them. */
const RETRYABLE: ReadonlySet<number> = new Set([429, 502, 503, 504])

function judge(
  who: string,
  { statusCode: status, headers }: Dispatcher.ResponseData,
  body: Buffer,
  hide: (text: string) => string,
): SendResult {
  if (status === 200) return partialOf(body, headers['content-type'], hide)
  const said = oneLine(hide(textOf(body)))
  const afterMs = retryAfterMs(headers['retry-after'])
  if (status === 502 || status === 504)
    return {
      kind: 'unanswered',
      error: new Error(`${who} is behind a gateway that got no answer (${status}, ${said})`),
    }
  if (RETRYABLE.has(status))
    return {
      kind: 'retry',
      error: new Error(`${who} cannot take spans now (${status}, ${said})`),
      ...(afterMs === null ? {} : { afterMs }),
    }
  if (status === 401 || status === 403)
    return { kind: 'retry', error: new Error(`${who} forbids spans (${status}, ${said}): look at its credentials`) }
  return { kind: 'drop', error: new Error(`${who} refuses spans (${status}, ${said})`) }
}

/** What a partial success refused, nobody can tell one by one. */
function partialOf(body: Buffer, type: string | string[] | undefined, hide: (text: string) => string): SendResult {
  try {
    const partial = readPartialSuccess(body, typeof type === 'string' ? type : '')
    if (partial === null || partial.rejected === 0) return { kind: 'ok' }
    return { kind: 'ok', refused: { ...partial, message: hide(partial.message) } }
  } catch {
    return { kind: 'ok' } // MLflow has answered JSON under a protobuf type; 200 is 200
  }
}

/** The words of an error: text, JSON, or a google.rpc.Status, whose message shows among the bytes. */
const textOf = (body: Buffer): string => body.toString().replace(/[^\x20-\x7e]+/g, ' ')
