import type { Hop } from './hop.ts'
import { clock } from './clock.ts'
import { configuration } from './configuration.ts'
import { experiment } from './experiment.ts'
import { http } from './http.ts'
import { credentials, hostCheck, mlflow } from './mlflow.ts'
import { name, port, trackingUri } from './network.ts'
import { probeRun } from './probe-run.ts'
import { stateDirectory } from './state-directory.ts'
import { traces } from './traces.ts'

/** From this machine outwards: the first that is broken is the one to mend. */
export const HOPS: readonly Hop[] = [
  configuration,
  stateDirectory,
  trackingUri,
  name,
  port,
  http,
  mlflow,
  hostCheck,
  credentials,
  experiment,
  probeRun,
  traces,
  clock,
]
