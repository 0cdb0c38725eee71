/** The server said no; `status` 0: there was no answer. */
export class RequestFailed extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** A process that stands still, and one behind a tunnel that has broken, take connections and never answer. */
const PATIENCE_MS = 20_000

/** Asks the daemon for something under `/api/v1/`; gives up after 20 s, or `patience` ms. @throws RequestFailed */
export async function ask<T>(path: string, options: RequestInit = {}, patience = PATIENCE_MS): Promise<T> {
  const signals = [AbortSignal.timeout(patience), ...(options.signal ? [options.signal] : [])]
  let response: Response
  try {
    response = await fetch(`api/v1/${path}`, {
      credentials: 'same-origin',
      ...options,
      signal: AbortSignal.any(signals),
    })
  } catch {
    throw new RequestFailed(0, 'Spanbridge does not answer')
  }
  // What is no JSON, or was cut off, comes from somebody on the way: then the status is all that is known.
  const body: unknown = await response.json().catch(() => null)
  if (response.ok && body !== null) return body as T
  const said = (body as { error?: string } | null)?.error
  throw new RequestFailed(response.status, said ?? `Spanbridge answered ${response.status}`)
}

/** Null where what was asked for is not there any more. @throws RequestFailed */
export async function unlessGone<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked
  } catch (error) {
    if (error instanceof RequestFailed && error.status === 404) return null
    throw error
  }
}

/** Changes something of a run. @throws RequestFailed */
export const change = (run: string, body: object): Promise<object> =>
  ask(`runs/${encodeURIComponent(run)}`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })

/** Deletes a run and its journal. @throws RequestFailed */
export const remove = (run: string): Promise<object> =>
  ask(`runs/${encodeURIComponent(run)}?confirm=${encodeURIComponent(run)}`, { method: 'DELETE' })
