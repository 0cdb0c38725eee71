import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Canaries } from './canaries.ts'
import { temporaryDirectory } from './spanbridge.ts'

/** A user's whole set-up, with a secret of its own in every place that can hold one. */
export class SetUp {
  readonly canaries = new Canaries()
  readonly directory = temporaryDirectory()
  readonly stateDir = join(this.directory, 'state')
  readonly env: Record<string, string>
  readonly flags: string[]
  /** What the trainer writes. */
  readonly lines: string

  constructor(mlflow: string, otlp: string) {
    const at = (place: string): string => this.canaries.at(place)
    const withUser = (address: string, place: string): string => address.replace('//', `//me:${at(place)}@`)
    this.env = {
      MLFLOW_TRACKING_URI: withUser(mlflow, 'tracking URI'),
      MLFLOW_TRACKING_USERNAME: 'me',
      MLFLOW_TRACKING_PASSWORD: at('password'),
      MLFLOW_TRACKING_TOKEN: at('token'),
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${withUser(otlp, 'OTLP endpoint')}/v1/traces?api_key=${at('OTLP query')}`,
      OTEL_EXPORTER_OTLP_HEADERS: `x-api-key=${at('OTLP header')}`,
      SPANBRIDGE_OTLP_HTTP_TOKEN: at('receiver token'),
      http_proxy: withUser('http://127.0.0.1:9', 'http proxy'),
      https_proxy: withUser('http://127.0.0.1:9', 'https proxy'),
      no_proxy: '127.0.0.1',
      SPANBRIDGE_TAGS: `deploy_token=${at('tag')}`,
    }
    const config = join(this.directory, 'spanbridge.yaml')
    writeFileSync(
      config,
      `params:\n  vault_secret: ${at('param of the file')}\n  store: s3://me:${at('param address')}@h/b\n`,
    )
    this.flags = ['--config', config, '--state-dir', this.stateDir, '--shutdown-deadline', '1s']
    this.lines = [...this.#configuration(), ...this.#events(), ...this.#broken()].join('\n')
    writeFileSync(join(this.directory, 'log.jsonl'), this.lines)
  }

  /** A command with secrets among its words; it writes the lines. */
  get command(): string[] {
    const at = (place: string): string => this.canaries.at(place)
    const script = `export API_KEY=${at('variable in a script')}; cat '${join(this.directory, 'log.jsonl')}'`
    const words = ['--api-key', at('flag and word'), `--hf-token=${at('flag with value')}`, '-H']
    const header = `Authorization: Bearer ${at('header')}`
    const url = `https://me:${at('address')}@h/x`
    return ['env', `WANDB_API_KEY=${at('variable')}`, 'sh', '-c', script, 'train.sh', ...words, header, url]
  }

  /** Everything that has a secret of ours in it and should have none. */
  leaks(what: Record<string, Buffer | string>): string[] {
    return Object.entries(what).flatMap(([name, bytes]) =>
      this.canaries.in(bytes).map((place) => `${place} in ${name}`),
    )
  }

  #configuration(): string[] {
    const at = (place: string): string => this.canaries.at(place)
    const fields = {
      password: at('startup'),
      db: { passwd: at('startup nested'), url: `postgresql://me:${at('startup address')}@h/db` },
      nodes: [{ api_key: at('startup list') }, { deep: [{ client_secret: at('startup deep list') }] }],
      api_keys: [at('startup list of keys')],
      apikey: at('startup one word'),
    }
    const spans = { span: { name: 'setup', hub_token: at('span field') }, spans: [] }
    return [
      JSON.stringify({ message: 'startup', lr: 0.1, ...fields }),
      JSON.stringify({ message: 'config_trace', fields: { hf_token: at('config_trace') } }),
      JSON.stringify({ level: 'INFO', fields: { message: 'startup', access_token: at('event in a span') }, ...spans }),
    ]
  }

  #events(): string[] {
    return [
      JSON.stringify({ loss: 1, secret: this.canaries.at('event without a step') }),
      JSON.stringify({ step: 1, loss: 1, category: 'TRAINER', api_key: this.canaries.at('event') }),
      JSON.stringify({
        level: 'ERROR',
        message: 'no',
        auth: {
          passwd: this.canaries.at('event of level ERROR'),
          uri: `s3://me:${this.canaries.at('address of it')}@h`,
        },
      }),
    ]
  }

  /** Nobody can tell where a secret ends on these. */
  #broken(): string[] {
    return [
      `{"loss": 1, "passwd": "${this.canaries.at('broken line')}`,
      `{"loss": 1, "uri": "https://me:${this.canaries.at('broken address')}@h"`,
      `{"loss": 1, "pwd": "${this.canaries.at('torn line')}`,
    ]
  }
}
