import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { cellsOf } from '../../src/receivers/lines/csv.ts'
import { Presets } from '../../src/receivers/lines/presets.ts'
import type { Preset } from '../../src/receivers/lines/preset-names.ts'
import { pythonDictToJson } from '../../src/receivers/lines/python.ts'

const FIXTURES = new URL('../fixtures/presets/', import.meta.url)
const fixture = (name: string): string => readFileSync(new URL(name, FIXTURES), 'utf8')
const STEP_FIELDS = ['timesteps', 'policy_version', 'step', 'global_step', 'update']

/** What becomes of lines: objects, null for what is of the format and no event, the text itself for what is none of it. */
function read(text: string, preset: Preset = 'auto', stepFields = STEP_FIELDS) {
  const said: string[] = []
  const fields = ['auto', 'sb3'].includes(preset) ? [...stepFields, 'time/total_timesteps'] : stepFields
  const stream = new Presets({ preset, stepFields: fields, say: (words) => void said.push(words) }).stream(null)
  const lines = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const json = stream.read(line)
      return json === undefined
        ? line
        : json === null
          ? null
          : (JSON.parse(json.replaceAll(/NaN|-?Infinity/g, '"$&"')) as unknown)
    })
  return { lines, said }
}

describe('a CSV table', () => {
  it('of Lightning is read by its columns; empty cells are nothing', () => {
    const { lines, said } = read(fixture('lightning-4.csv'))
    expect(lines).toEqual([
      null,
      { epoch: 0, step: 0, train_loss: 1 },
      { epoch: 0, step: 1, train_loss: 0.5 },
      { epoch: 0, step: 2, train_loss: 0.3333333333333333 },
      { epoch: 0, step: 2, val_loss: 0.16666666666666666 },
    ])
    expect(said).toEqual(["a CSV table: the step is the column 'step'"])
  })

  it('of Stable-Baselines3 has its step, texts in quotes, and NaN', () => {
    const { lines, said } = read(fixture('sb3-5.csv'))
    expect(lines[1]).toMatchObject({ 'time/total_timesteps': 2048, 'rollout/ep_rew_mean': 1.5 })
    expect(Object.keys(lines[1] as object)).toHaveLength(6)
    expect(lines[2]).toMatchObject({ 'train/note': 'a, "b"', 'train/explained_variance': 'NaN' })
    expect(said).toEqual(["a CSV table: the step is the column 'time/total_timesteps'"])
  })

  it('of Keras counts epochs, which are its steps', () => {
    const { lines, said } = read(fixture('keras.csv'))
    expect(lines[2]).toMatchObject({ timesteps: 1, loss: 0.5, val_loss: 'NaN' })
    expect(lines[2]).not.toHaveProperty('epoch')
    expect(said).toEqual(["a CSV table: the step is the column 'epoch'"])
  })

  it.each([
    ['prose with commas', 'Loading model, please wait\nstep, done'],
    ['a header that no row confirms', 'epoch, loss\nepoch 1 of 5, loss is 0.3'],
    ['a table without a step', 'time,loss\n1,2'],
    ['numbers only', '1,2\n3,4'],
    ['a header behind other lines', 'Starting\nstep,loss\n1,2'],
  ])('is not seen in %s', (_what, text) => {
    const { lines, said } = read(text)
    expect(lines.filter((line) => line !== null && typeof line === 'object')).toEqual([])
    expect(said).toEqual([])
  })

  it('may begin anywhere where it was named, and begin again with other columns', () => {
    const { lines } = read('Starting\nstep,loss\n1,2\nstep,loss,lr\n2,3,4\nthe end', 'csv')
    expect(lines).toEqual(['Starting', null, { step: 1, loss: 2 }, null, { step: 2, loss: 3, lr: 4 }, 'the end'])
  })

  it('may have semicolons or tabs between its cells, which is said', () => {
    expect(read('step;loss;note\n1;0.5;"a;b"\n2;.25;')).toEqual({
      lines: [null, { step: 1, loss: 0.5, note: 'a;b' }, { step: 2, loss: 0.25 }],
      said: ["a table with ';' between its cells: the step is the column 'step'"],
    })
    expect(read('epoch\tval_loss\n1\t2')).toEqual({
      lines: [null, { timesteps: 1, val_loss: 2 }],
      said: ["a table with a tab between its cells: the step is the column 'epoch'"],
    })
  })

  it('with commas in its numbers says that they are read as texts', () => {
    const { lines, said } = read('step;loss\n1;0,5\n2;0,25')
    expect(lines.slice(1)).toEqual([
      { step: 1, loss: '0,5' },
      { step: 2, loss: '0,25' },
    ])
    expect(said[1]).toMatch(/^expected numbers with a point, got '0,5'/)
  })

  it('may have lines in a cell in quotes, and goes on behind it', () => {
    const text = 'step,note,loss\r\n1,"first\r\n{ ""x"": 1 },\r\nlast",0.5\r\n2,plain,0.25\r\n'
    expect(read(text).lines).toEqual([
      null,
      null,
      null,
      { step: 1, note: 'first\r\n{ "x": 1 },\r\nlast', loss: 0.5 },
      { step: 2, note: 'plain', loss: 0.25 },
    ])
  })

  it('loses no row, and no event, behind a lone quote', () => {
    const rows = 'step,note,loss\n1,"open,0.5\n2,b,0.25\n'
    expect(read(rows).lines).toEqual([null, null, { step: 2, note: 'b', loss: 0.25 }])
    expect(read('step,note,loss\n0,a,1\n1,"open,0.5\n{"step":7}').lines.at(-1)).toBe('{"step":7}')
    const prose = Array.from({ length: 1100 }, () => 'prose')
    const { lines } = read(['step,note,loss', '0,a,1', '1,"open', ...prose, '2,b,0.25'].join('\n'))
    expect(lines.slice(-2)).toEqual(['prose', { step: 2, note: 'b', loss: 0.25 }])
    expect(read('epoch,loss\n"the first epoch\nis done').lines).toEqual([null, '"the first epoch', 'is done'])
  })

  it('may begin with the mark that Windows puts before texts', () => {
    expect(read('\u{FEFF}step,loss\n1,2').lines).toEqual([null, { step: 1, loss: 2 }])
  })

  it('has no row that is too short or too long', () => {
    expect(read('step,loss\n1,2\n2\n3,4,5').lines).toEqual([null, { step: 1, loss: 2 }, '2', '3,4,5'])
  })

  it('may have been written on Windows, by pandas with its index, and with any number', () => {
    expect(read(',step,loss\r\n0,1,.5\r\n1,2,-inf\r\n2,3,+4.\r\n').lines).toEqual([
      null,
      { step: 1, loss: 0.5 },
      { step: 2, loss: '-Infinity' },
      { step: 3, loss: 4 },
    ])
  })
})

it('cells are taken apart as RFC 4180 has it', () => {
  expect(cellsOf('a,"b,c","d""e",')).toEqual(['a', 'b,c', 'd"e', ''])
  expect(cellsOf('')).toEqual([''])
  expect(cellsOf('a,"b')).toBeNull()
  expect(cellsOf('a,b"c')).toBeNull()
  expect(cellsOf(',"'.repeat(50_000))).toBeNull()
})

describe('a dict that Python has printed', () => {
  it.each([
    ["{'loss': 0.5, 'ok': True, 'none': None, 'epoch': 1e-05}", '{"loss":0.5,"ok":true,"none":null,"epoch":1e-05}'],
    ["{'a': nan, 'b': -inf, 'c': inf}", '{"a":NaN,"b":-Infinity,"c":Infinity}'],
    [`{'it\\'s': "a 'b'", 'n': '\\x41\\n'}`, String.raw`{"it's":"a 'b'","n":"A\n"}`],
    ["{'step': 5, 'nested': {'a': [1, (2,), {}]}}", '{"step":5,"nested":{"a":[1,[2],{}]}}'],
    ["{'loss': np.float64(0.25), 'n': np.int64(3), 'x': np.float32(nan)}", '{"loss":0.25,"n":3,"x":NaN}'],
  ])('is read: %s', (text, json) => {
    expect(pythonDictToJson(text)).toBe(json)
  })

  it.each([
    "{'loss': tensor(0.5)}",
    "{'loss': 0.5",
    "{'loss' 0.5}",
    "{'loss': 0.5} and more",
    "{'loss': 0.5,, 'a': 1}",
    '{1: 2}',
    "['a']",
    "{'a': 1.2.3}",
    "{'a': np.float64(x)}",
    `${"{'a': ".repeat(1000)}1${'}'.repeat(1000)}`,
  ])('is not: %s', (text) => {
    expect(pythonDictToJson(text)).toBeUndefined()
  })

  it('takes time in proportion to its length only', () => {
    const from = performance.now()
    for (const text of [
      `{'${'\\'.repeat(1 << 19)}`,
      `{'a': ${'['.repeat(1 << 19)}`,
      `{${"'a': 1, ".repeat(1 << 16)}`,
      `{'a': ${'9'.repeat(1 << 19)}x}`,
    ])
      expect(pythonDictToJson(text)).toBeUndefined()
    expect(performance.now() - from).toBeLessThan(1000)
  })

  it("has no step where Hugging Face's Trainer prints it, and that is said once", () => {
    const { lines, said } = read(fixture('hf-printed.txt'))
    expect(lines[0]).toEqual({ loss: 0.5, grad_norm: 0.9217, learning_rate: 3.75e-5, epoch: 0.5 })
    expect(lines[2]).toMatchObject({ eval_loss: 'NaN' })
    expect(said).toHaveLength(1)
    expect(said[0]).toContain('trainer_state.json')
  })

  it('is text where presets are off, or another one is named', () => {
    for (const preset of ['off', 'sb3'] as const) expect(read("{'loss': 0.5}", preset).lines).toEqual(["{'loss': 0.5}"])
  })
})

it('rows of Stable-Baselines3 are recognised, and that is said', () => {
  const { lines, said } = read(fixture('sb3.json'))
  expect(lines).toEqual(fixture('sb3.json').trimEnd().split('\n'))
  expect(said).toEqual(["rows of Stable-Baselines3: the step is 'time/total_timesteps'"])
})

describe("trainer_state.json of Hugging Face's Trainer", () => {
  const entriesIn = (lines: readonly unknown[]): unknown[] => lines.filter((line) => line !== null)

  it('is its history, with steps', () => {
    const { lines, said } = read(fixture('trainer_state.json'))
    const { log_history: history } = JSON.parse(fixture('trainer_state.json').replaceAll('NaN', '"NaN"')) as {
      log_history: unknown[]
    }
    expect(entriesIn(lines)).toEqual(history)
    expect(said).toEqual(["the state of Hugging Face's Trainer: its log_history is read, with its steps"])
  })

  it('of a later checkpoint is what is new in it', () => {
    const presets = new Presets({ preset: 'auto', stepFields: STEP_FIELDS, say: () => {} })
    const [early, late] = ['trainer_state-10.json', 'trainer_state-20.json'].map((name) => {
      const stream = presets.stream(name)
      return fixture(name)
        .split('\n')
        .map((line) => stream.read(line))
        .filter((line) => typeof line === 'string')
    })
    expect(early!.map((entry) => /"step": (\d+)/.exec(entry)![1])).toEqual(['5', '10', '10'])
    expect(late!.map((entry) => /"step": (\d+)/.exec(entry)![1])).toEqual(['15', '20', '20'])
  })

  it('has its step under the name that counts', () => {
    const { lines } = read(fixture('trainer_state.json'), 'hf', ['my_step'])
    expect(entriesIn(lines)[0]).toMatchObject({ my_step: 5, loss: 0.5 })
  })

  it('is not seen in other JSON of several lines', () => {
    const text = '{\n  "a": 1,\n  "log_history": [\n    {\n      "step": 1\n    }\n  ]\n}'
    expect(entriesIn(read(text).lines)).toEqual(text.split('\n').slice(1))
  })
})
