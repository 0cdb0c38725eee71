import { rulesOf } from '../../config/load.ts'
import type { Settings } from '../../config/settings.ts'
import type { ChannelProducer } from '../../channel/producer.ts'
import { parseFilter } from '../../layer/filter.ts'
import { globs } from '../../layer/globs.ts'
import type { Layer } from '../../layer/layer.ts'
import { compileRules } from '../../layer/rules.ts'
import { SpanLayer } from '../../layer/spans.ts'
import type { Counters } from '../../telemetry/counters.ts'
import { OtlpIntake } from './intake.ts'
import type { SpanPacker } from './packer.ts'

/** How often it is looked whether what waits for other spans has waited too long. */
const EXPIRE_MS = 10_000

/** What takes OTLP into a run. */
export interface OtlpParts {
  intake: OtlpIntake
  spans: SpanLayer
  stop: () => void
}

export interface ComposeOptions {
  settings: Settings
  producer: ChannelProducer
  packer: SpanPacker
  counters: Counters
  /** The layer of the run, which the lines share. */
  layer: Layer
  say: (text: string) => void
}

/** Puts the parts together that take OTLP requests into a run. */
export function createIntake({ settings, producer, packer, counters, layer, say }: ComposeOptions): OtlpParts {
  const all = parseFilter(settings.filter ?? '')
  const rust = parseFilter(settings.rustFilter ?? '')
  const spans = new SpanLayer({
    rules: compileRules(rulesOf(settings)),
    layer,
    counters,
    isMeasured: globs(settings['spans.metrics']),
    allows: (target, level, isRust) => {
      if (all !== null) return all.allows(target, level)
      if (rust === null || !isRust) return true
      return target === '' ? rust.mayAllow(level) : rust.allows(target, level)
    },
  })
  let isSaid = false
  const onMetrics = (): void => {
    if (!isSaid)
      say('otlp-http: metrics came by OTLP; this version takes traces and logs, and lets metrics pass unread')
    isSaid = true
  }
  const reading = { integerText: settings['layer.integerText'] }
  const timer = setInterval(() => spans.expire(Date.now()), EXPIRE_MS)
  timer.unref()
  return {
    intake: new OtlpIntake({ producer, packer, layer: spans, reading, onMetrics }),
    spans,
    stop: () => clearInterval(timer),
  }
}
