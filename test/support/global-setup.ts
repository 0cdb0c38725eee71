import type { TestProject } from 'vitest/node'
import { startMlflow } from './mlflow.ts'

declare module 'vitest' {
  interface ProvidedContext {
    mlflowUrl: string
  }
}

/** One real MLflow for all tests that only need one that works. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startMlflow()
  project.provide('mlflowUrl', server.url)
  return () => server.stop()
}
