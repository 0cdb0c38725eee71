import type { Settings } from '../config/settings.ts'
import type { Via } from '../otlp/via.ts'
import type { Exporter } from './exporter.ts'
import { createMlflow, isMlflowConfigured } from './mlflow/index.ts'
import { createOtlp, isOtlpConfigured } from './otlp/index.ts'

/** Everything that can be sent to: one line each. */
const EXPORTERS: Readonly<
  Record<string, { isConfigured(settings: Settings): boolean; create(settings: Settings, via: Via): Exporter }>
> = {
  mlflow: { isConfigured: isMlflowConfigured, create: createMlflow },
  otlp: { isConfigured: isOtlpConfigured, create: createOtlp },
}

/**
 * Exporters for what the settings name. `trackerRun`: the run that its sender has named, in place of that of the settings.
 * @throws when a file that they name cannot be read
 */
export function createExporters(settings: Settings, via: Via, trackerRun: string | null = null): Exporter[] {
  const meant = trackerRun === null ? settings : { ...settings, 'mlflow.runId': trackerRun }
  return Object.values(EXPORTERS)
    .filter((exporter) => exporter.isConfigured(meant))
    .map((exporter) => exporter.create(meant, via))
}
