import { PRESETS } from '../receivers/lines/preset-names.ts'
import {
  bool,
  bytes,
  duration,
  millis,
  filter,
  headers,
  integer,
  labels,
  list,
  listenAddress,
  listsByName,
  oneOf,
  orOff,
  pairs,
  paths,
  switchOrName,
  text,
  type SettingType,
} from './types.ts'

/** One setting: everything that flags, environment, file, `check` and `--help` need to know of it. */
export interface Setting<T> {
  type: SettingType<T>
  default: T
  /** One sentence for users. */
  help: string
  /** Environment variables that users already have for it, strongest first; `SPANBRIDGE_...` counts before them. */
  env?: readonly string[]
  /** Another spelling of the flag. */
  flag?: string
  /** Never shown. */
  secret?: boolean
  /** What is wrong in `env` is a notice and the value is not used: the variable is another program's. */
  lenient?: boolean
}

const setting = <T>(
  type: SettingType<T>,
  fallback: T,
  help: string,
  rest: Omit<Setting<T>, 'type' | 'default' | 'help'> = {},
): Setting<T> => ({
  type,
  default: fallback,
  help,
  ...rest,
})

/** Every setting there is, by its name in the file. The order is that of `--help`. */
export const SETTINGS = {
  stateDir: setting(
    text,
    null,
    'Directory of the journals; else $XDG_STATE_HOME/spanbridge, else ~/.local/state/spanbridge.',
  ),
  runName: setting(
    text,
    null,
    'Name of the run; else the OpenTelemetry service name, the command under exec, or a time.',
  ),
  params: setting(pairs, {}, 'A param of the run, NAME=VALUE; may be repeated.', { flag: 'param' }),
  tags: setting(pairs, {}, 'A tag of the run, NAME=VALUE; may be repeated.', { flag: 'tag' }),
  stdin: setting(
    oneOf('auto', 'on', 'off'),
    'auto',
    'Whether standard input is read; auto: when it is a pipe, a socket or a file.',
  ),
  files: setting(
    paths,
    [],
    'Files that are followed, as paths or globs in quotes, through rotation and across restarts; may be repeated.',
    { flag: 'file' },
  ),
  fromStart: setting(
    bool,
    false,
    'Read files that are there when they are followed for the first time from their beginning, not from their end.',
  ),
  preset: setting(
    oneOf(...PRESETS),
    'auto',
    'Format of rows that are no JSON, or have their step under another name; auto: recognised by its shape.',
  ),
  resume: setting(
    switchOrName,
    null,
    'Go on with an earlier run: the newest of the same name, or command and directory, that has no end; or one that is named.',
  ),
  quiet: setting(
    bool,
    false,
    'Do not pass the input on to standard output; under exec, neither of the outputs of the command.',
  ),
  console: setting(
    bool,
    false,
    'Show each event as one line for people, in place of its JSON; other output passes through as it is.',
  ),
  wait: setting(bool, false, 'At the end, stay until everything is delivered, however long that takes.'),
  strict: setting(bool, false, 'Under exec, exit with our own code when the command exits with 0.'),
  'mlflow.trackingUri': setting(text, null, 'Address of the MLflow server; none: the run stays in the journal.', {
    env: ['MLFLOW_TRACKING_URI'],
  }),
  'mlflow.experimentId': setting(text, null, 'Experiment that the run is made in; else by name, else 0.', {
    env: ['MLFLOW_EXPERIMENT_ID'],
  }),
  'mlflow.experimentName': setting(text, null, 'Experiment by name; made when there is none.', {
    env: ['MLFLOW_EXPERIMENT_NAME'],
  }),
  'mlflow.runId': setting(text, null, 'Use this run instead of making one; it is not ended by us.', {
    env: ['MLFLOW_RUN_ID'],
  }),
  'mlflow.endRun': setting(
    oneOf('made', 'always'),
    'made',
    'Which runs get an end status: those that we made, or also a given one.',
  ),
  'mlflow.username': setting(text, null, 'User for basic authentication.', { env: ['MLFLOW_TRACKING_USERNAME'] }),
  'mlflow.password': setting(text, null, 'Password for basic authentication.', {
    env: ['MLFLOW_TRACKING_PASSWORD'],
    secret: true,
  }),
  'mlflow.token': setting(text, null, 'Bearer token; a user and password count before it.', {
    env: ['MLFLOW_TRACKING_TOKEN'],
    secret: true,
  }),
  'mlflow.insecureTls': setting(bool, false, "Do not check the server's certificate.", {
    env: ['MLFLOW_TRACKING_INSECURE_TLS'],
  }),
  'mlflow.serverCertPath': setting(text, null, "File with the certificates (PEM) to check the server's against.", {
    env: ['MLFLOW_TRACKING_SERVER_CERT_PATH'],
  }),
  'mlflow.clientCertPath': setting(text, null, 'File with our own certificate and key (PEM).', {
    env: ['MLFLOW_TRACKING_CLIENT_CERT_PATH'],
  }),
  'proxy.http': setting(text, null, 'Proxy for http addresses.', { env: ['http_proxy', 'HTTP_PROXY'] }),
  'proxy.https': setting(text, null, 'Proxy for https addresses.', { env: ['https_proxy', 'HTTPS_PROXY'] }),
  'proxy.none': setting(text, null, 'Hosts that are asked without a proxy, with commas between them.', {
    env: ['no_proxy', 'NO_PROXY'],
  }),
  categories: setting(
    pairs,
    { TRAINER: 'trainer', TRAIN: 'trainer', ACTOR: 'actor', ACT: 'actor', EVALUATOR: 'evaluator', EVAL: 'evaluator' },
    'First part of the key by category; any other category is misc.',
  ),
  'steps.fields': setting(
    list,
    ['timesteps', 'policy_version', 'step', 'global_step', 'update'],
    'Fields that hold the step, the first integer counts.',
  ),
  'steps.byCategory': setting(
    listsByName,
    {},
    'Other step fields for one first part of the key, such as evaluator=policy_version+step.',
  ),
  'steps.inherit': setting(bool, true, 'An event without a step or category takes those of the spans around it.'),
  filter: setting(
    filter,
    null,
    'Which events are taken, as directives of tracing-subscriber (info,my_crate::noisy=off); none: all.',
  ),
  rustFilter: setting(filter, null, 'The same for lines that a Rust program wrote, where no filter is set.', {
    env: ['RUST_LOG'],
    lenient: true,
  }),
  labels: setting(labels, {}, 'Labels of metrics where people read them, KEY=LABEL with commas between them.', {
    env: ['METRIC_LABELS', 'RUST_RL_METRIC_LABELS'],
  }),
  'layer.wrappers': setting(
    list,
    ['fields', 'context', 'metrics', 'record.extra'],
    'Objects whose name is no part of the key.',
  ),
  'channel.capacity': setting(
    integer(1000, 100_000_000),
    1_000_000,
    'Points that may wait for the journal in memory, 28 bytes each. While half as many do, a pipe is read at 16 MB a second at most, which no trainer writes.',
  ),
  'channel.whenFull': setting(
    oneOf('drop-newest', 'block'),
    'drop-newest',
    'When they are used up: drop-newest counts what it drops, block reads no further and so makes the trainer wait.',
  ),
  'shutdown.deadline': setting(duration, 10_000, 'At the end, give up after this long without any progress.'),
  'journal.maxRunBytes': setting(
    bytes,
    4_000_000_000,
    'Size of the journal of one run at which its oldest points and spans are dropped, delivered or not; at 28 bytes a point.',
  ),
  'journal.maxBytes': setting(
    bytes,
    20_000_000_000,
    'Size of all journals together at which those of the oldest ended runs are emptied: first what is delivered.',
  ),
  'journal.maxAge': setting(
    orOff(duration),
    null,
    'Age at which journals of runs that have ended and are delivered are deleted.',
  ),
  'otlpHttp.listen': setting(
    listenAddress,
    { host: '127.0.0.1', port: 4318 },
    'Where OTLP/HTTP traces and logs are received; under exec a free port, unless one is set. Port 0: a free one.',
  ),
  'otlpHttp.token': setting(
    text,
    null,
    'What senders must show as Authorization: Bearer; needed where others than this machine can reach otlpHttp.listen.',
    { secret: true },
  ),
  'layer.integerText': setting(
    oneOf('auto', 'never', 'always'),
    'auto',
    "Whether text that is an integer counts as one in OTLP; auto: from Rust's SDK, which writes unsigned integers as text.",
  ),
  'spans.metrics': setting(
    list,
    ['*'],
    'Names of spans whose duration is a metric, with * and ?; those behind an exclamation mark are left out.',
  ),
  'spans.fromLines': setting(
    bool,
    true,
    'Make spans of lines that show their enclosing spans, as those of tracing-subscriber do.',
  ),
  'mlflow.traces': setting(bool, true, 'Send spans to the traces of MLflow, where no other OTLP destination is set.'),
  'otlp.endpoint': setting(text, null, 'OTLP/HTTP destination of spans instead of MLflow; /v1/traces is added.', {
    env: ['OTEL_EXPORTER_OTLP_ENDPOINT'],
  }),
  'otlp.tracesEndpoint': setting(text, null, 'The same as it is, without anything added.', {
    env: ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'],
  }),
  'otlp.headers': setting(headers, {}, 'Headers for it, NAME=VALUE with commas between them, percent-encoded.', {
    env: ['OTEL_EXPORTER_OTLP_TRACES_HEADERS', 'OTEL_EXPORTER_OTLP_HEADERS'],
    secret: true,
  }),
  'otlp.compression': setting(oneOf('none', 'gzip'), 'none', 'Whether spans are sent compressed.', {
    env: ['OTEL_EXPORTER_OTLP_TRACES_COMPRESSION', 'OTEL_EXPORTER_OTLP_COMPRESSION'],
    lenient: true,
  }),
  'otlp.timeout': setting(millis, 3000, 'Time for one request with spans; a bare number is milliseconds.', {
    env: ['OTEL_EXPORTER_OTLP_TRACES_TIMEOUT', 'OTEL_EXPORTER_OTLP_TIMEOUT'],
    lenient: true,
  }),
  'otlp.certificate': setting(text, null, "File with the certificates (PEM) to check an OTLP destination's against.", {
    env: ['OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE', 'OTEL_EXPORTER_OTLP_CERTIFICATE'],
  }),
  'otlp.clientCertificate': setting(text, null, 'File with our own certificate (PEM) for an OTLP destination.', {
    env: ['OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE', 'OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE'],
  }),
  'otlp.clientKey': setting(text, null, 'File with its key (PEM), if it is not in the same one.', {
    env: ['OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY', 'OTEL_EXPORTER_OTLP_CLIENT_KEY'],
  }),
  'otlp.resourceOntoSpans': setting(
    list,
    [],
    'Attributes of the Resource, with * and ?, that are copied onto its spans, for servers that drop it (MLflow before 3.14).',
  ),
  'runs.identity': setting(
    list,
    ['service.name', 'service.instance.id'],
    'Resource attributes that tell one run from another in what comes by OTLP, if all are there; none: all goes into one run.',
  ),
  'runs.acceptIds': setting(
    bool,
    false,
    'Believe senders of OTLP that name a run (spanbridge.run, mlflow.run_id) which this process has not made.',
  ),
  'runs.idle': setting(
    duration,
    1_800_000,
    'A run that comes by OTLP or from files ends when nothing has come for this long.',
  ),
  'web.listen': setting(
    listenAddress,
    { host: '127.0.0.1', port: 4400 },
    'Where the live page is served; where the default port is taken, the next free one. Port 0: a free one. --no-web: off.',
  ),
  'web.open': setting(bool, false, 'Open the page in a browser.', { flag: 'open' }),
  'otel.serviceName': setting(text, null, 'Name of the run when runName is not set.', { env: ['OTEL_SERVICE_NAME'] }),
} as const

export type SettingName = keyof typeof SETTINGS
type Value<S> = S extends Setting<infer T> ? T : never
export type Settings = { readonly [K in SettingName]: Value<(typeof SETTINGS)[K]> }

export const settingOf = (name: SettingName): Setting<unknown> => SETTINGS[name]

/** `mlflow.trackingUri` -> `mlflow`, `tracking`, `uri`. */
const wordsOf = (name: string): string[] =>
  name
    .replace(/([a-z])([A-Z])/g, '$1.$2')
    .toLowerCase()
    .split('.')

export const flagOf = (name: SettingName): string => `--${wordsOf(name).join('-')}`
export const envOf = (name: SettingName): string => `SPANBRIDGE_${wordsOf(name).join('_').toUpperCase()}`

export const SETTING_NAMES = Object.keys(SETTINGS) as SettingName[]
