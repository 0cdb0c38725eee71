import type { Settings } from '../config/settings.ts'
import type { Exporter } from './exporter.ts'
import { createMlflow, isMlflowConfigured } from './mlflow/index.ts'
import { createOtlp, isOtlpConfigured } from './otlp/index.ts'

/** Everything that can be sent to: one line each. */
const EXPORTERS: Readonly<
  Record<string, { isConfigured(settings: Settings): boolean; create(settings: Settings): Exporter }>
> = {
  mlflow: { isConfigured: isMlflowConfigured, create: createMlflow },
  otlp: { isConfigured: isOtlpConfigured, create: createOtlp },
}

/** Exporters for what the settings name. @throws when a file that they name cannot be read */
export const createExporters = (settings: Settings): Exporter[] =>
  Object.values(EXPORTERS)
    .filter((exporter) => exporter.isConfigured(settings))
    .map((exporter) => exporter.create(settings))
