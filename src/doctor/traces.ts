import type { RunToOpen, Failure } from '../exporters/exporter.ts'
import { createOtlp, isOtlpConfigured } from '../exporters/otlp/index.ts'
import { Via } from '../otlp/via.ts'
import { broken, notSet, ok, warning } from './findings.ts'
import type { Finding, Hop, Scene } from './hop.ts'

/** A run that spans would go into, if any were sent. */
const RUN: RunToOpen = {
  run: 'doctor',
  name: 'spanbridge doctor',
  startedAt: 0,
  source: 'doctor',
  command: [],
  directory: '/',
  tags: [],
  knownId: null,
  knownMade: false,
  reopen: false,
  mayExist: false,
  isMoved: false,
  makingSince: null,
  making: () => {},
  peer: null,
  target: {},
}

const hasOwnDestination = ({ loaded: { settings } }: Scene): boolean =>
  settings['otlp.endpoint'] !== null || settings['otlp.tracesEndpoint'] !== null

/** Whether spans are taken where they go: a request without any, by the exporter that sends them. */
export const traces: Hop = {
  name: 'traces',
  needs: (scene) =>
    hasOwnDestination(scene) || scene.server === null || !scene.loaded.settings['mlflow.traces']
      ? ['configuration']
      : ['experiment'],
  look: async (scene) => {
    const { settings } = scene.loaded
    if (!isOtlpConfigured(settings)) return notSet('no destination of spans is set')
    const exporter = createOtlp({ settings, via: new Via('doctor') })
    const isMlflow = !hasOwnDestination(scene)
    const peer = isMlflow ? { runId: 'doctor', group: scene.experiment!.id } : null
    const timeout = settings['otlp.timeout']
    const abort = (): AbortSignal => AbortSignal.any([scene.stop, AbortSignal.timeout(timeout)])
    try {
      const opened = await exporter.openRun({ ...RUN, peer }, abort())
      const empty = { kind: 'spans' as const, first: 0, count: 0, blocks: [] }
      const result = opened.kind === 'ok' ? await exporter.send('doctor', empty, abort()) : opened
      return result.kind === 'ok' ? ok(`${exporter.address} takes spans`) : untaken(result, scene, isMlflow)
    } finally {
      await exporter.close()
    }
  },
}

function untaken(failure: Failure, scene: Scene, isMlflow: boolean): Finding {
  const words = failure.error.message
  if (failure.kind === 'retry' && failure.absent === true && isOurs(scene))
    return warning(
      `${words.replace(/:.*? is /, ' is ')}; it is where Spanbridge itself receives spans`,
      'unset OTEL_EXPORTER_OTLP_ENDPOINT in this shell; under exec the trainer gets it by itself',
    )
  if (!isMlflow)
    return broken(words, 'look at --otlp-endpoint or OTEL_EXPORTER_OTLP_ENDPOINT, and at OTEL_EXPORTER_OTLP_HEADERS')
  if (/\((?:404|405|501),/.test(words))
    return broken(
      `${words}: metrics work, this MLflow takes no spans`,
      'MLflow takes them since 3.6, on a database and under uvicorn (not with --gunicorn-opts); a proxy before it must let /v1/traces through. Else --no-mlflow-traces',
    )
  return broken(words, 'metrics work; look at the output of MLflow, or turn spans off by --no-mlflow-traces')
}

/** Whether spans are to go to the address at which we receive them, as the shell of a trainer has it. */
function isOurs({ loaded: { settings } }: Scene): boolean {
  const listen = settings['otlpHttp.listen']
  const { hostname, port } = new URL(settings['otlp.tracesEndpoint'] ?? settings['otlp.endpoint'] ?? 'http://x')
  return listen !== null && ['127.0.0.1', 'localhost', '[::1]'].includes(hostname) && Number(port) === listen.port
}
