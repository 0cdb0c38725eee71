import { isFields } from '../layer/event.ts'
import type { RunChange } from './api.ts'
import { expected } from './refusal.ts'

const MAX_TITLE = 200

/** What a user wants a run to be called, or whether it is put away. @throws PageRefusal */
export function readChange(body: unknown): RunChange {
  if (!isFields(body)) throw expected('an object with title or archived', JSON.stringify(body) ?? 'nothing')
  const change: RunChange = {}
  for (const [name, value] of Object.entries(body)) {
    if (name === 'title') change.title = titleOf(value)
    else if (name === 'archived') {
      if (typeof value !== 'boolean') throw expected('archived to be true or false', JSON.stringify(value))
      change.archived = value
    } else throw expected('title or archived', `'${name}'`)
  }
  if (Object.keys(change).length === 0) throw expected('title or archived', 'neither')
  return change
}

function titleOf(value: unknown): string | null {
  if (value === null) return null
  if (typeof value === 'string' && value.trim() !== '' && value.length <= MAX_TITLE) return value.trim()
  throw expected(`title to be null or a text of 1 to ${MAX_TITLE} characters`, JSON.stringify(value).slice(0, 80))
}
