import { textAt } from '../exporters/mlflow/run.ts'
import type { Answer } from '../exporters/mlflow/client.ts'
import { refusal, type Refusal } from './answers.ts'
import { broken, ok, patience, serverOf } from './findings.ts'
import type { Finding, Hop, Scene } from './hop.ts'

/** MLflow's experiment that is always there, and ours where none is named. */
const DEFAULT_ID = '0'

/** Whether runs have an experiment to go into: the one of the run that was given, else by id, by name, or the default one. */
export const experiment: Hop = {
  name: 'experiment',
  needs: () => ['credentials'],
  look: (scene) => {
    const { settings } = scene.loaded
    const [runId, name] = [settings['mlflow.runId'], settings['mlflow.experimentName']]
    if (runId !== null) return ofRun(scene, runId)
    const id = settings['mlflow.experimentId']
    return id === null && name !== null ? byName(scene, name) : byId(scene, id ?? DEFAULT_ID)
  },
}

const ask = (scene: Scene, path: string, query: Record<string, string>): Promise<Answer> =>
  serverOf(scene).client.get(path, query, patience(scene.stop))

const isMissing = (answer: Refusal): boolean => answer.code === 'RESOURCE_DOES_NOT_EXIST'

async function ofRun(scene: Scene, runId: string): Promise<Finding> {
  const answer = await ask(scene, 'runs/get', { run_id: runId })
  if (answer.kind !== 'ok')
    return isMissing(answer)
      ? broken(`MLflow has no run ${runId}`, 'look at MLFLOW_RUN_ID or --mlflow-run-id; without it a run is made')
      : refusal(answer, serverOf(scene), `a look at the run ${runId}`)
  if (textAt(answer.json, 'run', 'info', 'lifecycle_stage') === 'deleted')
    return broken(`the run ${runId} is deleted`, `restore it: mlflow runs restore --run-id ${runId}`)
  return byId(scene, textAt(answer.json, 'run', 'info', 'experiment_id') ?? DEFAULT_ID)
}

async function byId(scene: Scene, id: string): Promise<Finding> {
  const answer = await ask(scene, 'experiments/get', { experiment_id: id })
  if (answer.kind === 'ok') return there(scene, answer.json)
  return isMissing(answer)
    ? broken(
        `MLflow has no experiment with the id ${id}`,
        "look at --mlflow-experiment-id: it is the number in the address of the experiment's page; or name it by --mlflow-experiment-name",
      )
    : refusal(answer, serverOf(scene), `a look at experiment ${id}`)
}

async function byName(scene: Scene, name: string): Promise<Finding> {
  const answer = await ask(scene, 'experiments/get-by-name', { experiment_name: name })
  if (answer.kind === 'ok') return there(scene, answer.json)
  if (!isMissing(answer)) return refusal(answer, serverOf(scene), `a look at the experiment '${name}'`)
  scene.experiment = { id: DEFAULT_ID, isNew: true }
  return ok(`'${name}' is not there yet: the first run makes it`)
}

function there(scene: Scene, json: Record<string, unknown>): Finding {
  const id = textAt(json, 'experiment', 'experiment_id')
  const name = textAt(json, 'experiment', 'name') ?? 'without a name'
  if (id === null) return broken('MLflow answers without an experiment', 'is it MLflow, and of a version since 2.0?')
  if (textAt(json, 'experiment', 'lifecycle_stage') === 'deleted')
    return broken(
      `experiment ${id} ('${name}') is deleted: MLflow takes no run into it`,
      `restore it: mlflow experiments restore --experiment-id ${id}; or set another one by --mlflow-experiment-name`,
    )
  scene.experiment = { id, isNew: false }
  return ok(`${id} ('${name}')`)
}
