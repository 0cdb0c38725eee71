import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { readFlags } from '../../src/config/flags.ts'
import { loadSettings, stateDirOf, withoutCredentials, withoutUser, type Env } from '../../src/config/load.ts'
import { envOf, flagOf, SETTING_NAMES, settingOf } from '../../src/config/settings.ts'
import { temporaryDirectory } from '../support/spanbridge.ts'

const load = (argv: readonly string[], env: Env = {}) => loadSettings(readFlags(argv, false), env)

function fileWith(text: string): string {
  const path = join(temporaryDirectory(), 'spanbridge.yaml')
  writeFileSync(path, text)
  return path
}

describe('settings', () => {
  it('come from flags before environment before file before defaults', () => {
    const file = fileWith('runName: file\nquiet: true\nmlflow:\n  experimentId: "3"\n')
    const { settings, sources, problems } = load(['--config', file, '--run-name=flag'], {
      SPANBRIDGE_RUN_NAME: 'env',
      MLFLOW_EXPERIMENT_ID: '4',
    })
    expect(problems).toEqual([])
    expect([settings.runName, settings['mlflow.experimentId'], settings.quiet, settings.wait]).toEqual([
      'flag',
      '4',
      true,
      false,
    ])
    expect([sources.runName, sources['mlflow.experimentId'], sources.quiet, sources.wait]).toEqual([
      '--run-name',
      'MLFLOW_EXPERIMENT_ID',
      `${file}: quiet`,
      'default',
    ])
  })

  it('have our own variable counted before the one that users have already', () => {
    expect(
      load([], { SPANBRIDGE_MLFLOW_TRACKING_URI: 'http://ours', MLFLOW_TRACKING_URI: 'http://theirs' }).settings[
        'mlflow.trackingUri'
      ],
    ).toBe('http://ours')
  })

  it('have four spellings of one name', () => {
    expect(flagOf('mlflow.trackingUri')).toBe('--mlflow-tracking-uri')
    expect(envOf('mlflow.trackingUri')).toBe('SPANBRIDGE_MLFLOW_TRACKING_URI')
    expect([flagOf('otlpHttp.listen'), envOf('otlpHttp.listen'), flagOf('steps.inherit')]).toEqual([
      '--otlp-http-listen',
      'SPANBRIDGE_OTLP_HTTP_LISTEN',
      '--steps-inherit',
    ])
    expect(new Set(SETTING_NAMES.map(flagOf)).size).toBe(SETTING_NAMES.length)
  })

  it('that are wrong are all told at once, each with its place, what was expected and what came', () => {
    const file = fileWith('chanel:\n  capacity: 5\nquiet: 7\nsteps:\n  fields: step\n')
    const { problems } = load(
      [
        '--config',
        file,
        '--channel-capacity',
        '5',
        '--stdin=maybe',
        '--run-nam',
        'x',
        '--wait=perhaps',
        '--param',
        'novalue',
      ],
      { MLFLOW_EXPERIMENT_ID: 'ppo', MLFLOW_TRACKING_URI: 'postgresql://me:pw@host/db' },
    )
    expect(problems).toEqual([
      '--run-nam: there is no such flag; did you mean --run-name?',
      `${file}: chanel: there is no such setting`,
      "--param: expected NAME=VALUE, got 'novalue'",
      "--stdin: expected one of auto, on, off, got 'maybe'",
      `${file}: quiet: expected true or false, got 7`,
      "--wait: expected true or false, got 'perhaps'",
      `${file}: steps.fields: expected a list of texts, got 'step'`,
      "--channel-capacity: expected a whole number from 1000 to 100000000, got '5'",
      "mlflow.trackingUri: expected the address of a server (http://... or https://...), got 'postgresql://***@host/db'; for files or a database start one with 'mlflow server --backend-store-uri ...' and give its address",
      "mlflow.experimentId: expected a number, got 'ppo'; a name goes into mlflow.experimentName",
    ])
  })

  it('in a file that cannot be read or is no YAML are a problem and no crash', () => {
    expect(load(['--config', '/no/such/file']).problems[0]).toContain('/no/such/file: cannot be read')
    expect(load(['--config', fileWith('a: [1')]).problems.length).toBeGreaterThan(0)
    expect(load(['--config', fileWith('- a\n')]).problems[0]).toContain('expected settings by name, got a list')
    expect(load(['--config', fileWith('')]).problems).toEqual([])
  })

  it('in a file with odd keys make no word of it on standard error', () => {
    const warn = vi.spyOn(process, 'emitWarning')
    onTestFinished(() => warn.mockRestore())
    expect(load(['--config', fileWith('? {password: a}\n: b\n')]).problems).toHaveLength(1)
    expect(warn).not.toHaveBeenCalled()
  })

  it('that the environment misspells are a notice, since other versions may know them', () => {
    const { problems, notices } = load([], { SPANBRIDGE_STATEDIR: 'x' })
    expect([problems, notices]).toEqual([
      [],
      ['SPANBRIDGE_STATEDIR: there is no such setting; did you mean SPANBRIDGE_STATE_DIR?'],
    ])
  })

  it('keep a text as it was written in the file, where YAML would make a number of it', () => {
    const file = fileWith(
      'runName: 007\nmlflow.token: 12345678901234567890\nparams: {seed: 00042, lr: 1e-3, list: [1, a], on: true}\nmlflow:\n',
    )
    const { settings, problems } = load(['--config', file])
    expect(problems).toEqual([])
    expect(settings).toMatchObject({
      runName: '007',
      'mlflow.token': '12345678901234567890',
      params: { seed: '00042', lr: '1e-3', list: '[1,"a"]', on: 'true' },
    })
  })

  it('that stand in the file twice, or whose group is no group, are told; so is a flag in the place of a value', () => {
    const file = fileWith('steps.fields: [a]\nsteps: {fields: [b]}\nmlflow: 5\n')
    expect(load(['--config', file, '--run-name', '--quiet']).problems).toEqual([
      '--run-name: expected a value behind it, got the flag --quiet',
      `${file}: steps.fields: expected once, got it twice`,
      `${file}: mlflow: expected settings by name, got a number`,
    ])
    expect(load(['--run-name=--quiet']).settings.runName).toBe('--quiet')
  })

  it('never show what may be a secret', () => {
    const secrets = [
      'user:s3cr3t@host:5000',
      'http://user:s3 cr3t@h',
      'http://u:p@ss/w@h',
      'http://h/?api_token=s3cr3t&x=1',
    ]
    expect(secrets.map(withoutCredentials)).toEqual([
      '***@host:5000',
      'http://***@h',
      'http://***@h',
      'http://h/?api_token=***&x=1',
    ])
    expect(withoutUser('http://user:s3 cr3t@h/x')).toBe('http://h/x')
    expect(['http://h:5000/a', 'host:5000', '/a/b'].map(withoutCredentials)).toEqual([
      'http://h:5000/a',
      'host:5000',
      '/a/b',
    ])
    expect(load([], { SPANBRIDGE_PARAMS: 'api_key:sk-0123456789' }).problems).toEqual([
      "SPANBRIDGE_PARAMS: expected NAME=VALUE, got 'api_key:...'",
    ])
  })

  it('take params with commas and equals signs, each flag one', () => {
    expect(load(['--param', 'note=a,b', '--param', 'url=x?y=1', '--tag=t=1']).settings).toMatchObject({
      params: { note: 'a,b', url: 'x?y=1' },
      tags: { t: '1' },
    })
  })

  it('leave everything behind -- or the first word to the command', () => {
    expect(readFlags(['--quiet', '--', 'a', '--b'], true)).toMatchObject({ rest: ['a', '--b'], problems: [] })
    expect(readFlags(['--quiet', 'python', '--b', '--'], true)).toMatchObject({
      rest: ['python', '--b', '--'],
      problems: [],
    })
  })

  it('have a directory of their own by default, as the XDG specification says', () => {
    const { settings } = load([])
    expect(stateDirOf(settings, { HOME: '/home/me' })).toBe('/home/me/.local/state/spanbridge')
    expect(stateDirOf(settings, { HOME: '/home/me', XDG_STATE_HOME: '/state' })).toBe('/state/spanbridge')
    expect(stateDirOf(settings, { HOME: '/home/me', XDG_STATE_HOME: 'not/absolute' })).toBe(
      '/home/me/.local/state/spanbridge',
    )
  })

  it('each have a sentence', () => {
    for (const name of SETTING_NAMES) expect(settingOf(name).help).toMatch(/^[A-Z].*\.$/)
  })
})

describe('an address as it is shown', () => {
  it.each([
    ['http://user:pw@host:1/a', 'http://***@host:1/a'],
    ['http:/user:pw@host:1', 'http://***@host:1'],
    ['HTTPS:\\\\user:pw@host', 'HTTPS://***@host'],
    ['user:p/w@host', '***@host'],
    ['http://host/a?token=pw&x=1', 'http://host/a?token=***&x=1'],
    ['http://host:1/a', 'http://host:1/a'],
  ])('%s has no user or password in it, however it is written', (address, shown) => {
    expect(withoutCredentials(address)).toBe(shown)
  })
})
