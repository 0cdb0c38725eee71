import type { Context } from './app.ts'
export async function exportRun(_: Context): Promise<number> {
  return 0
}
