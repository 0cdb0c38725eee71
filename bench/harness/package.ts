import { execFileSync } from 'node:child_process'
import { cpSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { repository } from './processes.ts'

/**
 * Builds what users install into `directory`: a checkout would strip the types of each module at every start. All that is
 * measured from here on is that package, in the processes that are started, too.
 */
export function usePackage(directory: string): void {
  for (const name of ['bin', 'config', 'package.json'])
    cpSync(join(repository, name), join(directory, name), { recursive: true })
  symlinkSync(join(repository, 'node_modules'), join(directory, 'node_modules'))
  const rolldown = join(repository, 'node_modules/.bin/rolldown')
  // What is printed belongs to the results.
  execFileSync(rolldown, ['-c', '--dir', join(directory, 'dist')], { cwd: repository, stdio: ['ignore', 2, 2] })
  process.env['SPANBRIDGE_BENCH_PACKAGE'] = directory
}

/** Builds the page into the package that is measured; into the checkout, where there is none. */
export function usePage(): void {
  const vite = join(repository, 'node_modules/.bin/vite')
  execFileSync(vite, ['build', '-c', 'src/page/vite.config.ts'], { cwd: repository, stdio: ['ignore', 2, 2] })
  const directory = process.env['SPANBRIDGE_BENCH_PACKAGE']
  if (directory !== undefined) cpSync(join(repository, 'dist/page'), join(directory, 'dist/page'), { recursive: true })
}
