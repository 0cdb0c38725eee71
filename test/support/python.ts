import { fileURLToPath } from 'node:url'
import { start } from './spanbridge.ts'

const PYTHON = fileURLToPath(new URL('../../.venv/bin/python', import.meta.url))

/** Runs a program in the Python that the tests install, with pandas and pyarrow. @returns what it prints */
export async function python(program: string, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await start(PYTHON, ['-c', program, ...args]).finished
  if (code !== 0) throw new Error(`python: ${code} ${stderr}`)
  return stdout.toString()
}
