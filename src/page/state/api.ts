/** The server said no; `status` 0: there was no answer. */
export class RequestFailed extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** Asks the daemon for something under `/api/v1/`. @throws RequestFailed */
export async function ask<T>(path: string, options: RequestInit = {}): Promise<T> {
  let response: Response
  try {
    response = await fetch(`api/v1/${path}`, { credentials: 'same-origin', ...options })
  } catch {
    throw new RequestFailed(0, 'Spanbridge does not answer')
  }
  const body: unknown = await response.json().catch(() => null)
  if (response.ok) return body as T
  const said = (body as { error?: string } | null)?.error
  throw new RequestFailed(response.status, said ?? `Spanbridge answered ${response.status}`)
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
