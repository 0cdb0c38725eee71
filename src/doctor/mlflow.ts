import { withoutCredentials } from '../config/load.ts'
import { oneLine, unreachable } from '../exporters/http.ts'
import type { Answer } from '../exporters/mlflow/client.ts'
import { isHostCheck, isMlflows, refusal, type Refusal } from './answers.ts'
import { broken, ok, pastProxy, patience, serverOf } from './findings.ts'
import type { Finding, Hop, Scene, Server } from './hop.ts'
import { pageAt, type Page } from './peek.ts'

/** A request that every user of MLflow may make, and that its Host check looks at; `/version` passes that unseen. */
const askApi = ({ client }: Server, stop: AbortSignal): Promise<Answer> =>
  client.get('experiments/search', { max_results: '1' }, patience(stop))

const versionIn = ({ status, text }: Page): string | null =>
  status === 200 ? (/^\s*(\d+\.\d+[\w.]*)\s*$/.exec(text)?.[1] ?? null) : null

/** Whether it is MLflow that answers in HTTP, at this path, and of which version. */
export const mlflow: Hop = {
  name: 'MLflow',
  needs: () => ['HTTP'],
  look: async (scene) => {
    const server = serverOf(scene)
    const abort = patience(scene.stop)
    try {
      const page = await pageAt(server, `${server.base}/version`, abort)
      return await judge(page, scene)
    } catch (error) {
      const { message } = unreachable(server.base, error as NodeJS.ErrnoException, abort, true).error
      return broken(message, `look at MLflow's output${pastProxy(server)}`)
    }
  },
}

async function judge(page: Page, scene: Scene): Promise<Finding> {
  const server = serverOf(scene)
  if (page.status >= 300 && page.status < 400) return redirect(page, server)
  const version = versionIn(page)
  const answer = await askApi(server, scene.stop)
  if (version !== null && (isShut(answer) || isMlflows(answer))) return ok(`version ${version}`)
  if (isMlflows(answer)) return ok('of an unknown version: /version is not told')
  if (isHostCheck(answer)) return ok('of an unknown version: it refuses our Host header')
  if (page.status === 401 || page.status === 403)
    return ok(`of an unknown version: it tells nothing before it knows who asks (${page.status})`)
  if (answer.kind !== 'ok' && isFailing(answer) && page.status < 500)
    return refusal(answer, server, 'a look at its experiments')
  return notHere(page, version, answer, scene)
}

const isShut = (answer: Answer): boolean => answer.kind !== 'ok' && (answer.status === 401 || answer.status === 403)

const isFailing = (answer: Refusal): boolean => answer.kind === 'unanswered' || (answer.status ?? 0) >= 500

/** Credentials never follow. */
function redirect({ status, headers }: Page, { base }: Server): Finding {
  const location = oneLine(String(headers['location'] ?? 'nowhere'))
  const to = URL.canParse(location, base) ? new URL(location, base) : null
  to?.searchParams.forEach((_value, name) => to.searchParams.set(name, '***'))
  const shown = to === null ? location : withoutCredentials(to.href)
  const target = to === null ? null : `${to.origin}${to.pathname.replace(/\/version\/?$/, '').replace(/\/$/, '')}`
  return broken(
    `${base} sends us elsewhere (${status}, to ${shown}), and redirects are not followed`,
    `set the tracking URI to where MLflow itself answers${target === null ? '' : `: ${target} perhaps`}; a page to log in needs MLFLOW_TRACKING_TOKEN, or a way past it`,
  )
}

/** Something that speaks HTTP, and is not MLflow at this address. */
async function notHere(page: Page, version: string | null, answer: Answer, scene: Scene): Promise<Finding> {
  const server = serverOf(scene)
  const words = answer.kind === 'ok' ? '' : answer.error.message.replace(`MLflow at ${server.base} `, '')
  if (page.status >= 500)
    return broken(
      `${server.base} answers with an error of its own (${page.status}, ${oneLine(page.text)})`,
      `look at the output of MLflow, or of what stands before it: 502 to 504 mean that nothing is behind it${pastProxy(server)}`,
    )
  const other = await elsewhere(server, scene.stop)
  if (other !== null)
    return broken(`MLflow's API is not at ${server.base}, but at ${other}`, `set the tracking URI to ${other}`)
  if (version !== null)
    return broken(
      `version ${version} answers at ${server.base}, its API does not (${words})`,
      'it is mounted below a path, as by --static-prefix: add that path to the tracking URI',
    )
  return broken(
    `something else answers at ${server.base}, not MLflow (${page.status}, ${oneLine(page.text)})`,
    `look at host and port of the tracking URI; behind a proxy MLflow may be below a path, as in ${new URL(server.base).origin}/PATH, or need a token (MLFLOW_TRACKING_TOKEN)${pastProxy(server)}`,
  )
}

/** Where people mount MLflow, if its API answers there. */
async function elsewhere({ base, ...server }: Server, stop: AbortSignal): Promise<string | null> {
  const { origin } = new URL(base)
  for (const other of [origin, `${origin}/mlflow`].filter((address) => address !== base)) {
    const url = `${other}/api/2.0/mlflow/experiments/search?max_results=1`
    // Only a guess at where it may be: whoever does not answer is not it.
    const page = await pageAt({ base, ...server }, url, patience(stop)).catch(() => null)
    if (page?.status === 200 && /^\s*\{/.test(page.text)) return other
  }
  return null
}

/** Whether MLflow knows itself by the name that we use for it. */
export const hostCheck: Hop = {
  name: 'Host check',
  needs: () => ['MLflow'],
  look: async (scene) => {
    const server = serverOf(scene)
    const answer = await askApi(server, scene.stop)
    if (answer.kind !== 'ok' && isHostCheck(answer)) return refusal(answer, server, 'requests')
    return ok(`MLflow takes the Host header ${new URL(server.base).host}`)
  },
}

/** Whether it lets us in. */
export const credentials: Hop = {
  name: 'credentials',
  needs: () => ['Host check'],
  look: async (scene) => {
    const server = serverOf(scene)
    const answer = await askApi(server, scene.stop)
    if (answer.kind !== 'ok' && (isShut(answer) || !isMlflows(answer)))
      return refusal(answer, server, 'a look at its experiments')
    return ok(server.headers['authorization'] === undefined ? 'none are asked for' : 'taken')
  },
}
