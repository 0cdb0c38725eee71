import { extname } from 'node:path'

/*
 * Where the package lies. Addresses are taken from its root, not from the file that names them: the build joins many modules into
 * one file. It puts this one, which several entries share, into `dist/lib`: as deep below the root as it is here.
 */

/** The root folder of the package. */
export const PACKAGE = new URL('../../', import.meta.url)

const ending = extname(import.meta.url)

/** The address of a module that is an entry of the build (`delivery/worker`): of its source, or of what was built of it. */
export const entry = (name: string): URL =>
  new URL(ending === '.ts' ? `src/${name}.ts` : `dist/${name}${ending}`, PACKAGE)
