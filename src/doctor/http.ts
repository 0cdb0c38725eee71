import { oneLine, unreachable } from '../exporters/http.ts'
import { broken, endpoint, ok, pastProxy, patience, serverOf } from './findings.ts'
import type { Finding, Hop, Scene, Server } from './hop.ts'
import { pageAt, peek, speaksTls } from './peek.ts'

/** What nginx, Go and Apache say to plain HTTP on a port of theirs that takes TLS. */
const PLAIN_TO_TLS = /plain HTTP request was sent to|HTTP request to an HTTPS server|speaking plain HTTP to an SSL/i

/** Codes of a greeting in TLS that came to nothing; where the server speaks none, they are others. */
const OF_TLS = /CERT|SELF_SIGNED|ISSUER|UNABLE_TO|ERR_SSL_(?!WRONG_VERSION|PACKET_LENGTH)/

/** Certificates that do not hold, by OpenSSL's and Node.js's codes. */
const CERTIFICATES: readonly (readonly [RegExp, string])[] = [
  [/HAS_EXPIRED/, 'it has expired, or the clock of this machine is wrong'],
  [/NOT_YET_VALID/, 'it is not valid yet, or the clock of this machine is wrong'],
  [/ALTNAME_INVALID/, 'it is for another name than that of the tracking URI'],
  [/SELF_SIGNED/, 'nobody but the server itself has signed it'],
  [/UNABLE_TO|ISSUER|UNTRUSTED/, 'no authority that this machine trusts has signed it'],
]

/** Whether what takes connections answers in HTTP at all. */
export const http: Hop = {
  name: 'HTTP',
  needs: () => ['port'],
  look: async (scene) => {
    const server = serverOf(scene)
    const abort = patience(scene.stop)
    try {
      const { status, headers, text } = await pageAt(server, `${server.base}/version`, abort)
      if (status === 400 && PLAIN_TO_TLS.test(text)) return wrongScheme(server)
      const software = headers['server']
      return ok(
        `an HTTP server answers${typeof software === 'string' ? ` (${oneLine(software)})` : ''}, with status ${status}`,
      )
    } catch (error) {
      return noAnswer(scene, error as NodeJS.ErrnoException, abort)
    }
  },
}

/** Why nothing came that is HTTP; through a proxy only what our library tells. */
async function noAnswer(scene: Scene, error: NodeJS.ErrnoException, abort: AbortSignal): Promise<Finding> {
  const server = serverOf(scene)
  const code = error.code ?? ''
  if (abort.aborted) return silent(server, scene)
  if (server.isTls && OF_TLS.test(code)) return certificate(code)
  if (server.proxy !== null) {
    const { message } = unreachable('it', error, abort, false).error
    return broken(
      `no answer through the proxy ${server.proxy.address}: ${message}`,
      `look at the proxy${pastProxy(server)}`,
    )
  }
  const seen = await peek(server.peer, scene.stop)
  if (seen.kind === 'bytes')
    return server.isTls && seen.text.startsWith('HTTP/') ? wrongScheme(server) : foreign(server, seen.text)
  if (!server.isTls && (await speaksTls(server.peer, scene.stop))) return wrongScheme(server)
  if (seen.kind === 'silent') return silent(server, scene)
  return closed(server, scene)
}

function wrongScheme({ isTls, base }: Server): Finding {
  const [says, speaks] = isTls ? ['https', 'http'] : ['http', 'https']
  return broken(
    `the tracking URI says ${says}://, the server speaks ${isTls ? 'plain HTTP, no TLS' : 'TLS'}`,
    `write ${base.replace(/^https?/, speaks)}`,
  )
}

function certificate(code: string): Finding {
  if (/CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE|ALERT_(?:UNKNOWN_CA|BAD_CERTIFICATE)/.test(code))
    return broken(
      `the server asks for a certificate of ours that it trusts (${code})`,
      'set MLFLOW_TRACKING_CLIENT_CERT_PATH to a file with certificate and key',
    )
  const why = CERTIFICATES.find(([pattern]) => pattern.test(code))?.[1] ?? 'it does not hold'
  return broken(
    `the server's certificate is not trusted: ${why} (${code})`,
    'set MLFLOW_TRACKING_SERVER_CERT_PATH to the certificate (PEM) that signed it, or MLFLOW_TRACKING_INSECURE_TLS=true where nobody stands between',
  )
}

function closed(server: Server, { isLoopback }: Scene): Finding {
  const at = endpoint(server.peer)
  if (isLoopback)
    return broken(
      `${at} takes the connection and closes it before a byte: the tunnel is up, nothing is behind it`,
      "start MLflow on the machine that the tunnel leads to, at the port that ssh's -R or RemoteForward names; 'connect_to ... failed' in ssh's output there says the same",
    )
  return broken(
    `${at} takes the connection and closes it before a byte`,
    'look whether MLflow runs behind it, and whether a proxy or firewall there lets this machine in',
  )
}

function silent(server: Server, { isLoopback }: Scene): Finding {
  const at = endpoint(server.peer)
  return isLoopback
    ? broken(
        `${at} takes the connection and has not answered within 3 s: it hangs`,
        'is the machine at the other end of the tunnel asleep or offline? Wake it and open the tunnel again; else restart MLflow there',
      )
    : broken(
        `${at} takes the connection and has not answered within 3 s: it hangs`,
        `look at MLflow on its machine, and restart it${pastProxy(server)}`,
      )
}

const foreign = (server: Server, text: string): Finding =>
  broken(
    `something else answers at ${endpoint(server.peer)}, not in HTTP: '${text}'`,
    "look at the port in the tracking URI: behind a tunnel it is the first number of ssh's -R",
  )
