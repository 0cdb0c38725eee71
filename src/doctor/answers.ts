import type { Answer } from '../exporters/mlflow/client.ts'
import { broken, pastProxy } from './findings.ts'
import type { Finding, Server } from './hop.ts'

/** An answer of MLflow's API that did not do what it was asked. */
export type Refusal = Exclude<Answer, { kind: 'ok' }>

/** MLflow's own words for a name that it does not know for itself. */
const HOST_CHECK = /\bhost header\b|rebinding/i

export const isHostCheck = (answer: Answer): boolean =>
  answer.kind !== 'ok' && answer.status === 403 && HOST_CHECK.test(answer.error.message)

/** Whether MLflow itself has answered: its errors have a code. */
export const isMlflows = (answer: Answer): boolean => answer.kind === 'ok' || answer.code !== undefined

/** Answers that have a cause of their own wherever they come, by their words. */
const CAUSES: readonly (readonly [RegExp, string, string])[] = [
  [
    /readonly database|read-only (?:database|transaction|file system)/i,
    'its database is read-only',
    'let the user that MLflow runs as write to the database file and its directory, or give it a database that is writable',
  ],
  [/disk is full|no space left/i, 'its disk is full', 'make room on the machine where MLflow runs'],
  [
    /database is locked/i,
    'its database is locked',
    'run MLflow with one worker on SQLite (--workers 1), and close what else writes to the file',
  ],
  [
    /no such table|out-of-date database schema/i,
    'its database is of another version',
    "run 'mlflow db upgrade' on it, with MLflow stopped",
  ],
]

/** What is said of MLflow, without its address. */
const wordsOf = ({ error }: Refusal, { client }: Server): string =>
  error.message.replace(`MLflow at ${client.address} `, '')

/** Cause and cure of an answer that is none. */
export function refusal(answer: Refusal, server: Server, what: string): Finding {
  const words = wordsOf(answer, server)
  if (answer.status === 401) return unauthorized(server)
  if (isHostCheck(answer)) return wrongHost(answer, server)
  if (answer.status === 403)
    return broken(
      `MLflow forbids ${what}: ${words.replace(/^forbids it /, '')}`,
      `have the rights granted to this user, or use another experiment${pastProxy(server)}`,
    )
  const known = CAUSES.find(([pattern]) => pattern.test(words))
  if (known !== undefined) return broken(`MLflow cannot do ${what}: ${known[1]} (${words})`, known[2])
  if (answer.kind === 'unanswered')
    return broken(
      `${what}: MLflow ${words}`,
      `look at MLflow's output, and whether its database is locked: on SQLite one worker is best (--workers 1)${pastProxy(server)}`,
    )
  return broken(`${what}: MLflow ${words}`, `look at MLflow's output${pastProxy(server)}`)
}

function unauthorized({ headers, base }: Server): Finding {
  const shown = headers['authorization']
  if (shown === undefined)
    return broken(
      `${base} asks for credentials (401), and none are set`,
      'set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN',
    )
  const kind = shown.startsWith('Basic') ? 'user and password' : 'token'
  const other = kind === 'token' ? ' (MLflow with users takes no token, but a user and password)' : ''
  return broken(
    `${base} does not take the ${kind} that is set (401)`,
    `look at MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD and MLFLOW_TRACKING_TOKEN${other}`,
  )
}

/** The list that is given replaces the one that MLflow has by itself. */
function wrongHost(answer: Refusal, { base }: Server): Finding {
  const { host, hostname } = new URL(base)
  const said = /\(403, (.*?)\)/.exec(answer.error.message)?.[1] ?? 'Invalid Host header'
  return broken(
    `MLflow does not know itself by the name ${host} (403, ${said})`,
    `start it with --allowed-hosts '${host},localhost:*,127.0.0.1:*', and whatever stands in that list now: it replaces MLflow's own${
      /^(?:localhost|127\.0\.0\.1)$/.test(hostname) ? '' : ', or reach it as 127.0.0.1 or localhost'
    }`,
  )
}
