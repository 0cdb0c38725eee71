import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type * as Resvgs from '@resvg/resvg-wasm'
import { unpackWoff } from './woff.ts'

const RENDERER = '@resvg/resvg-wasm'
const FONT_PACKAGE = '@fontsource/dejavu-sans'
const FONT = `${FONT_PACKAGE}/files/dejavu-sans-latin-400-normal.woff`

/** The packages that make pixels of a picture are optional, and not installed. */
export class NoRenderer extends Error {
  constructor(cause: unknown) {
    super(
      `a PNG needs the packages ${RENDERER} and ${FONT_PACKAGE}, which come with Spanbridge unless optional ones are left out: npm install ${RENDERER} ${FONT_PACKAGE}; or write an .svg, which needs nothing`,
      { cause },
    )
  }
}

/** Pixels of an SVG. Loads the renderer (0.1 s) when it is called. @throws NoRenderer */
export async function pngOf(svg: string): Promise<Uint8Array> {
  const require = createRequire(import.meta.url)
  const load = async (): Promise<{ resvg: typeof Resvgs; wasm: Buffer; font: Buffer }> => ({
    resvg: await import('@resvg/resvg-wasm'),
    wasm: readFileSync(require.resolve(`${RENDERER}/index_bg.wasm`)),
    font: readFileSync(require.resolve(FONT)),
  })
  const { resvg, wasm, font } = await load().catch((error: unknown) => {
    throw new NoRenderer(error)
  })
  await resvg.initWasm(wasm)
  const picture = new resvg.Resvg(svg, {
    font: { fontBuffers: [unpackWoff(font)], defaultFontFamily: 'DejaVu Sans', sansSerifFamily: 'DejaVu Sans' },
  })
  return picture.render().asPng()
}
