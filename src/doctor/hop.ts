import type { Dispatcher } from 'undici'
import type { LoadedSettings } from '../config/load.ts'
import type { MlflowClient } from '../exporters/mlflow/client.ts'

/** The hops in the order in which they are looked at. */
export type HopName =
  | 'configuration'
  | 'state directory'
  | 'tracking URI'
  | 'name'
  | 'port'
  | 'HTTP'
  | 'MLflow'
  | 'Host check'
  | 'credentials'
  | 'experiment'
  | 'probe run'
  | 'traces'
  | 'clock'

/** `not set`: there is nothing to look at; `not reached`: a hop that this one needs does not work. */
export type HopState = 'ok' | 'warning' | 'broken' | 'not set' | 'not reached'

/** What was found at a hop: what is there, and how to mend it where it is not as it should be. */
export interface Finding {
  state: Exclude<HopState, 'not reached'>
  detail: string
  cure?: string
}

/** A finding as it is told; `ms`: null for what was not looked at. No secrets. */
export interface HopResult {
  name: HopName
  state: HopState
  ms: number | null
  detail: string
  cure: string | null
}

/** One station between this machine and a chart. */
export interface Hop {
  readonly name: HopName
  /** Hops that have to work before this one means anything. */
  readonly needs: (scene: Scene) => readonly HopName[]
  /** Looks, within seconds, and leaves nothing behind. A throw is a bug. */
  look(scene: Scene): Promise<Finding>
}

/** The tracking server, and the way to it. */
export interface Server {
  /** Beginning of all its addresses, without credentials. */
  readonly base: string
  readonly isTls: boolean
  /** Whom we connect to: the server, or a proxy. */
  readonly peer: { readonly host: string; readonly port: number }
  /** The proxy that stands between, and the name under which it was set. */
  readonly proxy: { readonly address: string; readonly source: string } | null
  readonly headers: Readonly<Record<string, string>>
  readonly dispatcher: Dispatcher
  readonly client: MlflowClient
}

/** What hops look at, and tell those after them. */
export interface Scene {
  readonly loaded: LoadedSettings
  readonly stateDir: string
  /** Null without a tracking URI. */
  readonly server: Server | null
  /** Aborts when the user wants to leave. */
  readonly stop: AbortSignal
  /** Whether the peer is this machine, as a tunnel's end is. */
  isLoopback: boolean
  /** Where the probe run goes; `isNew`: the experiment of the settings is not there yet, and this is another. */
  experiment: { id: string; isNew: boolean } | null
}
