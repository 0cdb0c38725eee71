import { createHash } from 'node:crypto'
import { own, type Fields } from '../../layer/event.ts'

/** Of senders that say nothing of themselves: the one run of all other data from the network. */
export const ANONYMOUS = 'network'

/** Longest identity that is kept as it is written. */
const MAX_TEXT = 500

/** Whose data those of a resource are. */
export type Owner =
  /** A run of this process, by its ULID. */
  | { kind: 'run'; ulid: string }
  /** The tracker's run that the sender names. */
  | { kind: 'tracker'; runId: string }
  | { kind: 'identity'; identity: string; name: string | null }

export interface IdentityRules {
  /** Resource attributes that together tell one run from another, if all of them are there; none: all share one run. */
  attributes: readonly string[]
  /** Whether run ids that a sender names count, whoever has made the run. */
  acceptIds: boolean
  /** Whether a ULID is that of a run of this process. */
  isOurs: (ulid: string) => boolean
}

/** Tells, from its attributes, which run a resource belongs to: unlike resources never share a run. */
export function ownerOf(resource: Fields, { attributes, acceptIds, isOurs }: IdentityRules): Owner {
  const text = (name: string): string | null => {
    const value = own(resource, name)
    return typeof value === 'string' && value !== '' ? value : null
  }
  const ulid = text('spanbridge.run')
  if (ulid !== null && isOurs(ulid)) return { kind: 'run', ulid }
  const name = text('service.name')
  if (acceptIds) {
    const runId = text('mlflow.run_id')
    if (runId !== null) return { kind: 'tracker', runId }
    if (ulid !== null) return identityOf({ 'spanbridge.run': ulid }, name)
  }
  if (attributes.length === 0) return { kind: 'identity', identity: ANONYMOUS, name: null }
  const named = pick(resource, attributes)
  if (Object.keys(named).length === attributes.length) return identityOf(named, name)
  if (name !== null) return identityOf(pick(resource, ['service.name', 'host.name', 'process.pid']), name)
  const { length } = Object.keys(resource)
  return length === 0 ? { kind: 'identity', identity: ANONYMOUS, name: null } : identityOf(resource, null)
}

/** Those of the attributes that say something. */
function pick(resource: Fields, names: readonly string[]): Fields {
  const picked: Fields = {}
  for (const name of names) {
    const value = own(resource, name)
    if (value !== undefined && value !== null && value !== '') picked[name] = value
  }
  return picked
}

/** The same attributes in any order are one identity. */
function identityOf(attributes: Fields, name: string | null): Owner & { kind: 'identity' } {
  const sorted = Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1))
  const text = JSON.stringify(Object.fromEntries(sorted))
  return { kind: 'identity', identity: text.length <= MAX_TEXT ? text : hashed(text), name }
}

const hashed = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`
