/** Spanbridge inside a Node.js process; `docs/library.md` shows how. */
export { startBridge, type RunningBridge, type StartOptions } from './library/start.ts'
export { BridgeSpanProcessor } from './library/processor.ts'
export type {
  Batch,
  Confirmation,
  Exporter,
  Failure,
  OpenResult,
  PointBatch,
  RunToOpen,
  SendResult,
  SpanBatch,
  SpanBlock,
  TextBatch,
} from './exporters/exporter.ts'
