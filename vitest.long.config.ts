import { defineConfig } from 'vitest/config'

/** What takes minutes: not part of `npm test`. See docs/testing.md. */
export default defineConfig({
  test: {
    include: ['test/long/**/*.long.ts'],
    testTimeout: 600_000,
    hookTimeout: 120_000,
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
  },
})
