import { basename } from 'node:path'
import { quoted } from '../../telemetry/words.ts'

/** Of a kind of file that holds no lines of UTF-8: its first bytes, what it is, and what makes lines of it. */
interface Kind {
  /** Null: any. */
  begins: readonly (number | null)[]
  is: string
  wayOut: (path: string) => string
}

const ascii = (text: string): readonly number[] => [...Buffer.from(text)]

/** With the usual ending the tool finds a name by itself, and `keep` leaves the file as it is. */
const unpack =
  (keep: string, ending: string, out: string) =>
  (path: string): string =>
    path.endsWith(ending) ? `${keep} ${quoted(path)}` : `${out} < ${quoted(path)} > ${quoted(`${path}.unpacked`)}`

const recode =
  (from: string) =>
  (path: string): string =>
    `iconv -f ${from} -t UTF-8 ${quoted(path)} > ${quoted(`${path}.utf8`)}`

const KINDS: readonly Kind[] = [
  { begins: [0x1f, 0x8b], is: 'bytes packed by gzip', wayOut: unpack('gunzip -k', '.gz', 'gunzip -c') },
  { begins: [0x28, 0xb5, 0x2f, 0xfd], is: 'bytes packed by zstd', wayOut: unpack('unzstd -k', '.zst', 'unzstd -c') },
  {
    begins: [...ascii('BZh'), null, 0x31, 0x41, 0x59, 0x26],
    is: 'bytes packed by bzip2',
    wayOut: unpack('bunzip2 -k', '.bz2', 'bunzip2 -c'),
  },
  { begins: [0xfd, ...ascii('7zXZ'), 0], is: 'bytes packed by xz', wayOut: unpack('unxz -k', '.xz', 'unxz -c') },
  { begins: [...ascii('PK'), 3, 4], is: 'a ZIP archive', wayOut: (path) => `unzip ${quoted(path)}` },
  { begins: [...ascii('PAR1'), 0x15], is: 'a Parquet file', wayOut: () => 'write it as CSV or JSON lines' },
  { begins: [0xff, 0xfe], is: 'a text in UTF-16', wayOut: recode('UTF-16') },
  { begins: [0xfe, 0xff], is: 'a text in UTF-16', wayOut: recode('UTF-16') },
]

/** First bytes that tell what a file is. */
export const FIRST_BYTES = 16

/** ASCII in two bytes for each letter, without the mark that says so. */
function kindOfWide(head: Uint8Array): Kind | undefined {
  if (head.length < 4) return undefined
  const isPlain = (i: number): boolean => head[i]! >= 9 && head[i]! < 0x7f
  const isLittle = isPlain(0) && head[1] === 0 && isPlain(2) && head[3] === 0
  const isBig = head[0] === 0 && isPlain(1) && head[2] === 0 && isPlain(3)
  if (!isLittle && !isBig) return undefined
  return { begins: [], is: 'a text in UTF-16', wayOut: recode(isLittle ? 'UTF-16LE' : 'UTF-16BE') }
}

/** What a file is that holds no lines of UTF-8, and what to do, in words; null: nothing tells that it does not. */
export function foreignIn(path: string, head: Uint8Array): string | null {
  const known =
    KINDS.find(({ begins }) => begins.every((byte, i) => byte === null || head[i] === byte)) ?? kindOfWide(head)
  if (known === undefined) return null
  return `${basename(path)} is not read: expected lines of UTF-8, got ${known.is}; to have them: ${known.wayOut(path)}`
}
