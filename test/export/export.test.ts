import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { pointTable } from '../../src/export/rows.ts'
import { writeCsv } from '../../src/export/text.ts'
import { RunHistory } from '../../src/store/history.ts'
import type { Point } from '../support/filled-journal.ts'
import { python } from '../support/python.ts'
import { SPANBRIDGE, spanbridge, start, startBridge, temporaryDirectory } from '../support/spanbridge.ts'
import { idOf, stateDirWith } from '../support/stored-runs.ts'

/** What is hard to write so that it reads back as it was. */
const HARD = [Number.NaN, Infinity, -Infinity, -0, 0, 1e308, -1.7976931348623157e308, 5e-324, 0.1, 1 / 3, 2 ** 53 - 1]
const KEYS = ['trainer/loss', 'odd "key", with a comma', 'two\nlines', '\u001b[31mred', 'größe 損失']
const points: Point[] = HARD.flatMap((value, i) =>
  KEYS.map((key) => ({ key, value, step: i === 0 ? Number.MAX_SAFE_INTEGER : i, time: 1_700_000_000_000 + i })),
)

/** Prints each row as JSON, with the value as its eight bytes. */
const PRINT = `
import json, struct, sys
def show(run, key, step, ms, value):
    print(json.dumps([run, key, int(step), int(ms), struct.pack('>d', float(value)).hex()]))
`
const READERS = {
  csv: `${PRINT}
import csv
for row in csv.DictReader(open(sys.argv[1], newline='', encoding='utf-8')):
    show(row['run'], row['key'], row['step'], row['time_ms'], row['value'])
`,
  jsonl: `${PRINT}
for line in open(sys.argv[1], encoding='utf-8'):
    row = json.loads(line, parse_constant=lambda word: 1 / 0)
    show(row['run'], row['key'], row['step'], row['time_ms'], row['value'])
`,
  parquet: `${PRINT}
import pyarrow.parquet as parquet
for row in parquet.read_table(sys.argv[1]).to_pylist():
    show(row['run'], row['key'], row['step'], round(row['time'].timestamp() * 1000), row['value'])
`,
}

const bytesOf = (value: number): string => {
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleBE(value)
  return bytes.toString('hex')
}

async function exported(args: readonly string[], stateDir: string): Promise<string> {
  const { code, stdout, stderr } = await spanbridge(['export', '--state-dir', stateDir, ...args])
  expect([code, stderr]).toEqual([0, ''])
  return stdout.toString()
}

describe('export', () => {
  it.each(['csv', 'jsonl', 'parquet'] as const)(
    'writes %s that others read back to the last bit, whatever keys and values are',
    async (format) => {
      const stateDir = stateDirWith({ ppo: points })
      const file = join(temporaryDirectory(), `run.${format}`)
      await exported(['ppo', '--format', format, '--out', file], stateDir)
      const rows = (await python(READERS[format], file))
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown)
      expect(rows).toEqual(points.map(({ key, step, time, value }) => [idOf(1), key, step, time, bytesOf(value!)]))
    },
  )

  it('writes what pandas takes for numbers and times by itself', async () => {
    const stateDir = stateDirWith({ ppo: points })
    const files = ['csv', 'jsonl', 'parquet'].map((format) => join(temporaryDirectory(), `run.${format}`))
    for (const file of files) await exported(['ppo', '--out', file], stateDir)
    const program = `
import pandas, sys
tables = [pandas.read_csv(sys.argv[1]), pandas.read_json(sys.argv[2], lines=True), pandas.read_parquet(sys.argv[3])]
for table in tables:
    print(table.value.dtype, table.value.isna().sum(), table.step.dtype, table.step.max(), pandas.to_datetime(table.time, utc=True).max().isoformat())
`
    const same = `float64 5 int64 ${Number.MAX_SAFE_INTEGER} 2023-11-14T22:13:20.010000+00:00`
    expect((await python(program, ...files)).trimEnd().split('\n')).toEqual([same, same, same])
  })

  it('writes to standard output, only the keys that are meant, and nothing of other runs', async () => {
    const stateDir = stateDirWith({
      a: [{ key: 'x/loss' }],
      b: [{ key: 'x/loss', value: 2 }, { key: 'y/loss' }, { key: 'x/z' }],
    })
    const row = (key: string, step: number, value: number): string =>
      `${idOf(2)},${key},${step},1970-01-01T00:00:00.000Z,0,${value}`
    const head = 'run,key,step,time,time_ms,value'
    expect(await exported(['b', '--key', 'loss'], stateDir)).toBe(
      [head, row('x/loss', 1, 2), row('y/loss', 2, 0), ''].join('\n'),
    )
    expect(await exported(['latest', '--key', 'x/*'], stateDir)).toBe(
      [head, row('x/loss', 1, 2), row('x/z', 3, 0), ''].join('\n'),
    )
  })

  it('puts the last value of each key at a step into one row under --wide, in order of steps', async () => {
    const stateDir = stateDirWith({
      ppo: [
        { key: 'a', step: 5, value: 1 },
        { key: 'b', step: 5, value: Number.NaN },
        { key: 'a', step: 7, value: 2 },
        { key: 'b,c', step: 6, value: -0 },
        { key: 'a', step: 5, value: 3 },
      ],
    })
    expect(await exported(['ppo', '--wide'], stateDir)).toBe('step,a,b,"b,c"\n5,3,NaN,\n6,,,-0.0\n7,2,,\n')
    expect(await exported(['ppo', '--wide', '--key', 'b'], stateDir)).toBe('step,b\n5,NaN\n')
  })

  it('loses no row of a wide table where it is put together stretch by stretch', async () => {
    const many = Array.from({ length: 120_000 }, (_, i) => ({
      key: i % 3 === 0 ? 'b' : 'a',
      // Two keys, one of them far behind, and a step that is written again at the end.
      step: i % 3 === 0 ? (i * 7) % 100_003 : i,
      value: i,
    }))
    const last = new Map<number, Map<string, number>>()
    for (const { key, step, value } of many) last.set(step, (last.get(step) ?? new Map()).set(key, value))
    const stateDir = stateDirWith({ ppo: many })
    const rows = [...last]
      .sort(([a], [b]) => a - b)
      .map(([step, of]) => `${step},${of.get('b') ?? ''},${of.get('a') ?? ''}`)
    const text = await exported(['ppo', '--wide'], stateDir)
    expect(text === ['step,b,a', ...rows, ''].join('\n')).toBe(true)
  })

  it('writes params, tags and spans', async () => {
    const stateDir = temporaryDirectory()
    const lines = [
      '{"message":"startup","lr":0.1}',
      '{"step":1,"loss":1,"span":{"name":"update"},"spans":[{"name":"update"}]}',
    ]
    const ran = await spanbridge(['--quiet', '--state-dir', stateDir, '--tag', 'team=rl'], `${lines.join('\n')}\n`)
    expect(ran.code).toBe(0)
    expect(await exported(['latest', '--what', 'params'], stateDir)).toMatch(/^run,name,value\n\w+,lr,0\.1\n$/)
    expect(await exported(['latest', '--what', 'tags'], stateDir)).toMatch(/^\w+,team,rl$/m)
    expect(await exported(['latest', '--what', 'spans'], stateDir)).toMatch(/^run,trace,span,parent,name,start_ms,/)
  })

  it('writes events as JSON that harms no terminal', async () => {
    const stateDir = stateDirWith({ ppo: [{ key: 'a' }] })
    const database = new DatabaseSync(join(stateDir, `${idOf(1)}.sqlite`))
    database.exec(`CREATE TABLE IF NOT EXISTS events (
      sequence INTEGER PRIMARY KEY, time REAL, level TEXT, target TEXT, message TEXT, step REAL, fields TEXT)`)
    database.exec(`INSERT INTO events VALUES (1, 7, 'ERROR', 't', 'it \u009b31m\u001b broke', 3, '{"code":7}')`)
    database.close()
    const text = await exported(['latest', '--what', 'events', '--format', 'jsonl'], stateDir)
    expect(JSON.parse(text)).toEqual({
      run: idOf(1),
      sequence: 1,
      time: '1970-01-01T00:00:00.007Z',
      time_ms: 7,
      level: 'ERROR',
      target: 't',
      message: 'it \u009b31m\u001b broke',
      step: 3,
      fields: '{"code":7}',
    })
    expect(text).toContain('it \\u009b31m\\u001b broke')
  })

  it('reads no further than its reader takes, and says nothing when that one goes away', async () => {
    const stateDir = stateDirWith({ ppo: Array.from({ length: 50_000 }, (_, i) => ({ step: i })) })
    const running = startBridge(['export', 'ppo', '--state-dir', stateDir])
    running.child.stdout.once('data', () => running.child.stdout.destroy())
    const { code, stderr } = await running.finished
    expect([code, stderr]).toEqual([0, ''])
    const history = new RunHistory(idOf(1), join(stateDir, `${idOf(1)}.sqlite`), {})
    history.readKeys()
    let read = 0
    const { columns, batches } = pointTable(history, () => true, 50_000)
    function* counted(): Generator<typeof batches extends Iterable<infer T> ? T : never> {
      for (const batch of batches) {
        read += 1
        yield batch
      }
    }
    await writeCsv({ columns, batches: counted() }, { write: () => Promise.resolve(false) }, false)
    history.close()
    expect(read).toBeLessThan(3)
  })

  it.skipIf(!existsSync('/dev/full'))(
    'says so when the disk is full, and does not exit as if all were there',
    async () => {
      const stateDir = stateDirWith({ one: [{ step: 1, value: 1 }] })
      for (const to of ['> /dev/full', '--out /dev/full']) {
        const { code, stderr } = await start('sh', [
          '-c',
          `"$0" export one --state-dir "$1" ${to}`,
          SPANBRIDGE,
          stateDir,
        ]).finished
        expect([to, code]).toEqual([to, 1])
        expect(stderr).toMatch(/^spanbridge: .*ENOSPC.* is not whole\n$/)
      }
    },
  )

  it('says what was wrong, and the nearest that there is', async () => {
    const stateDir = stateDirWith({ ppo: [{ key: 'trainer/policy_loss' }, { key: 'trainer/entropy' }], ppo2: [] })
    const said = async (...args: string[]): Promise<[number | null, string]> => {
      const { code, stderr, stdout } = await spanbridge(['export', '--state-dir', stateDir, ...args])
      expect(stdout.toString()).toBe('')
      return [code, stderr]
    }
    expect(await said('ppo', '--key', 'policy_los')).toEqual([
      2,
      "spanbridge: export: there is no metric 'policy_los'; the nearest are: trainer/policy_loss, trainer/entropy\n",
    ])
    expect(await said('ppp')).toEqual([2, expect.stringContaining('or latest; did you mean ppo?')])
    expect(await said('01k')).toEqual([2, expect.stringContaining("'01k' begins the ids of 2 runs: ")])
    expect(await said('ppo', '--format', 'parquet')).toEqual([
      2,
      expect.stringContaining('expected a file for parquet'),
    ])
    expect(await said('ppo', '--format', 'xml')).toEqual([
      2,
      expect.stringContaining("--format: expected one of csv, jsonl, parquet, got 'xml'"),
    ])
    expect(await said('ppo', '--smooth', '1')).toEqual([
      2,
      expect.stringContaining("--smooth: only 'plot' takes it, not 'export'"),
    ])
    expect(await said()).toEqual([2, expect.stringContaining('expected one run')])
    writeFileSync(join(stateDir, 'no.sqlite'), 'no journal')
    expect(await said(join(stateDir, 'no.sqlite'))).toEqual([1, expect.stringContaining('file is not a database')])
  })
})
