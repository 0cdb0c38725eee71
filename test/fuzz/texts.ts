import { readFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readFlags } from '../../src/config/flags.ts'
import { loadSettings, withoutUser } from '../../src/config/load.ts'
import { SETTING_NAMES, settingOf, SETTINGS } from '../../src/config/settings.ts'
import { SettingError } from '../../src/config/types.ts'
import { ContractError, parseContract } from '../../src/contract/contract.ts'
import { FilterError, parseFilter } from '../../src/layer/filter.ts'
import { oneLine, retryAfterMs } from '../../src/exporters/http.ts'
import { Via } from '../../src/otlp/via.ts'
import { describeMetric } from '../../src/registry/index.ts'
import type { Random } from '../simulation/random.ts'
import { mutate } from './mutate.ts'
import { law, outcomeOf, type Target } from './target.ts'

const ROOT = new URL('../../', import.meta.url)
const textFile = (path: string): Buffer => readFileSync(new URL(path, ROOT))

const MAX_TEXT = 5000

const someText = (random: Random, texts: readonly Buffer[]): Buffer =>
  mutate(random.of(texts), random, random.of(texts)).subarray(0, MAX_TEXT)

const directives = (
  JSON.parse(textFile('test/fixtures/envfilter/envfilter.json').toString()) as { cases: { directives: string }[] }
).cases.map((each) => Buffer.from(each.directives))

const filter: Target = {
  name: 'filter',
  share: 2600,
  make: (random) => someText(random, directives),
  read: (input) =>
    outcomeOf(() => {
      const text = input.toString()
      const parsed = parseFilter(text)
      law((parsed === null) === (text.replaceAll(',', '').trim() === ''), 'no directive is no filter')
      if (parsed === null) return
      for (const level of [1, 3, 5])
        for (const target of ['', 'ppo', 'my_crate::noisy::deep', '__proto__'])
          if (parsed.allows(target, level)) law(parsed.mayAllow(level) && !parsed.isClosed, 'what passes may pass')
    }, FilterError),
}

/** Where files lie for a moment that can be read from a file only. */
let directory: string | null = null
function fileOf(input: Buffer): string {
  if (directory === null) {
    directory = mkdtempSync(join(tmpdir(), 'spanbridge-fuzz-'))
    process.on('exit', () => rmSync(directory!, { recursive: true, force: true }))
  }
  const path = join(directory, 'spanbridge.yaml')
  writeFileSync(path, input)
  return path
}

/** Pieces of the sample with its values, which are comments there. */
const sample = textFile('config/spanbridge.yaml')
  .toString()
  .replace(/^(\s*)# ?(?=[\w.]+:)/gm, '$1')
  .split('\n\n')

/** A file of one's own: the parser takes the square of its keys, and long for each bracket that is not closed. */
const MAX_YAML = 800

const yamls = [
  ...sample.map((text) => Buffer.from(text)),
  Buffer.from('labels: {loss: Loss, trainer/lr: "Learning Rate", __proto__: x}\nparams:\n  a: 007\n  b: [1, {c: d}]\n'),
  Buffer.from('a: &a [x, x]\nb: &b [*a, *a, *a]\nc: [*b, *b, *b]\nsteps: {fields: *a}\n'),
  Buffer.from('? {a: b}\n: [c]\n<<: {d: e}\n!!set {x}\n--- |\n text\n...\n'),
]

const configuration: Target = {
  name: 'configuration',
  share: 20,
  make: (random) => someText(random, yamls).subarray(0, MAX_YAML),
  read: (input) => {
    const { settings, problems } = loadSettings(readFlags(['--config', fileOf(input)], false), {})
    law(
      SETTING_NAMES.every((name) => settings[name] !== undefined),
      'every setting has a value',
    )
    describeMetric('trainer/loss', settings.labels)
    return problems.length === 0 ? 'read' : 'refused'
  },
}

const contracts = [
  textFile('config/contracts/rl.yaml').subarray(0, MAX_YAML),
  Buffer.from('categories:\n  TRAINER:\n    every: update\n    fields: {loss: number, step: integer}\n'),
]

const contract: Target = {
  name: 'contract',
  share: 20,
  make: (random) => someText(random, contracts).subarray(0, MAX_YAML),
  read: (input) => outcomeOf(() => void parseContract(input.toString(), 'fuzz.yaml'), ContractError),
}

/** Values as they stand in the environment or behind a flag. */
const values = [
  'loss=Loss,trainer/lr=Learning Rate',
  'a=1,b=2',
  'authorization=Bearer%20abc,x-key=%zz',
  '500ms',
  '4GiB',
  '127.0.0.1:4318',
  '[::1]:0',
  'http://me:pw@host:5000/?token=abc',
  'evaluator=step+update,actor=timesteps',
  'info,my_crate=debug',
  'off',
  '7',
  'Wed, 21 Oct 2026 07:28:00 GMT',
  'some-id,other_id',
].map((text) => Buffer.from(text))

/** What `--help` shows of a type is told apart once; labels are a registry of their own. */
const types = [...new Set(SETTING_NAMES.map((name) => settingOf(name).type))]

const settingTexts: Target = {
  name: 'setting',
  share: 300,
  make: (random) => someText(random, values),
  read: (input) => {
    const text = input.toString()
    const outcomes = types.map((type) => outcomeOf(() => void type.fromText(text), SettingError))
    const labels = SETTINGS.labels.type.fromText(text)
    for (const key of [...Object.keys(labels), text])
      law(typeof describeMetric(key, labels).label === 'string', 'a key has a label')
    return outcomes.includes('read') ? 'read' : 'refused'
  },
}

const header: Target = {
  name: 'header',
  share: 2600,
  make: (random) => someText(random, values),
  read: (input) => {
    const text = input.toString('latin1')
    const via = new Via('own')
    via.learn(text)
    law(
      via.header.split(',').every((name) => /^[\w-]{1,64}$/.test(name)),
      'what is passed on are names',
    )
    law(via.header.split(',').length <= 17, 'no more than 16 others are known')
    const afterMs = retryAfterMs(text)
    law(afterMs === null || afterMs >= 0, 'nobody waits less than no time')
    law(oneLine(text).length <= 240, 'foreign words are short')
    withoutUser(text)
    return afterMs === null ? 'refused' : 'read'
  },
}

export const TEXT_TARGETS: readonly Target[] = [filter, configuration, contract, settingTexts, header]
