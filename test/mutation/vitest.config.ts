import { defineConfig } from 'vitest/config'

/** What `npm run mutants` runs in its copy: no server is started. */
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    setupFiles: ['test/mutation/setup.ts'],
    reporters: [{}],
    testTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
  },
})
