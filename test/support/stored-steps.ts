import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { columnsOf } from '../../src/channel/chunk.ts'

/** The steps of all points in the journals of a state directory, in the order of the runs; also while they are written. */
export function storedSteps(stateDir: string): number[] {
  const names = readdirSync(stateDir, { withFileTypes: true }).filter((entry) => entry.name.endsWith('.sqlite'))
  return names
    .map(({ name }) => name)
    .sort()
    .flatMap((name) => stepsIn(join(stateDir, name)))
}

function stepsIn(path: string): number[] {
  const database = new DatabaseSync(path, { readOnly: true, timeout: 2000 })
  try {
    return database
      .prepare('SELECT count, data FROM blocks ORDER BY first')
      .all()
      .flatMap(({ count, data }) => [...columnsOf(Uint8Array.from(data as Uint8Array).buffer, Number(count)).step])
  } catch (error) {
    // The process has not made its tables yet.
    if (/no such table/.test((error as Error).message)) return []
    throw error
  } finally {
    database.close()
  }
}
