import type { Encoding, PartialSuccess } from '../../otlp/status.ts'
import { listenOtlpHttp, type OtlpHttpServer, type SignalPath } from './server.ts'

export type { OtlpHttpServer, SignalPath } from './server.ts'

export interface ReceiverOptions {
  host: string
  port: number
  token: string | null
  /** The port was named by the user: another one is no answer. */
  isNamed: boolean
  take: (path: SignalPath, body: Buffer, encoding: Encoding) => Promise<PartialSuccess | null>
  hasComeBack: (via: string) => boolean
  say: (text: string) => void
}

/** Listens, on a free port where a default one is taken. Null, with a word, when it cannot: the run goes on without. */
export async function openOtlpHttp({ isNamed, say, ...given }: ReceiverOptions): Promise<OtlpHttpServer | null> {
  const onFault = (error: Error): void => say(`otlp-http: a fault of ours: ${error.stack ?? error.message}`)
  const options = { ...given, onFault }
  const address = `${options.host}:${options.port}`
  try {
    return await listenOtlpHttp(options)
  } catch (error) {
    const isTaken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
    if (!isTaken || isNamed) {
      say(`otlp-http: ${address} cannot be listened on (${(error as Error).message}); no OTLP is received`)
      return null
    }
  }
  const server = await listenOtlpHttp({ ...options, port: 0 })
  say(`otlp-http: ${address} is taken; OTLP is received at ${server.address}`)
  return server
}
