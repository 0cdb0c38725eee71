import { defineConfig } from 'rolldown'

/**
 * The package that users install: the modules of `src` in some dozens of files, for a start loads eighty of them, each of which takes
 * Node.js half a millisecond. What is started by itself keeps its place (`src/config/place.ts`); the rest goes into `dist/lib`, as deep
 * as the folders of `src`. Dependencies stay outside.
 */
export default defineConfig({
  input: Object.fromEntries(
    ['index', 'cli/main', 'delivery/worker', 'web/worker'].map((name) => [name, `src/${name}.ts`]),
  ),
  platform: 'node',
  external: /^[^./]/,
  output: { dir: 'dist', entryFileNames: '[name].js', chunkFileNames: 'lib/[name]-[hash].js' },
})
