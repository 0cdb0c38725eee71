import type { Context } from './app.ts'
export async function top(_: Context): Promise<number> {
  return 0
}
