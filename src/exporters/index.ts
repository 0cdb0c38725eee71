import type { Settings } from '../config/settings.ts'
import type { Exporter, ExporterOptions } from './exporter.ts'
import { createMlflow, isMlflowConfigured } from './mlflow/index.ts'
import { createOtlp, isOtlpConfigured } from './otlp/index.ts'

/** Everything that can be sent to: one line each. */
const EXPORTERS: Readonly<
  Record<string, { isConfigured(settings: Settings): boolean; create(options: ExporterOptions): Exporter }>
> = {
  mlflow: { isConfigured: isMlflowConfigured, create: createMlflow },
  otlp: { isConfigured: isOtlpConfigured, create: createOtlp },
}

/**
 * Exporters for what the settings name. `trackerRun`: the run that its sender has named, in place of that of the settings.
 * @throws when a file that they name cannot be read
 */
export function createExporters(options: ExporterOptions, trackerRun: string | null = null): Exporter[] {
  const settings = trackerRun === null ? options.settings : { ...options.settings, 'mlflow.runId': trackerRun }
  return Object.values(EXPORTERS)
    .filter((exporter) => exporter.isConfigured(settings))
    .map((exporter) => exporter.create({ ...options, settings }))
}
