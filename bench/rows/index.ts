import type { Family } from '../harness/row.ts'
import { family as browser } from './browser.ts'
import { family as bytes } from './bytes.ts'
import { family as cpuSpans } from './cpu-spans.ts'
import { family as growth } from './growth.ts'
import { family as lines } from './lines.ts'
import { family as mlflow } from './mlflow.ts'
import { family as page } from './page.ts'
import { family as paced } from './paced.ts'
import { family as recovery } from './recovery.ts'
import { scripts } from './scripts.ts'
import { family as trainer } from './trainer.ts'
import { family as tunnel } from './tunnel.ts'

/** The table, in its order. */
export const families: readonly Family[] = [
  ...scripts,
  lines,
  tunnel,
  mlflow,
  cpuSpans,
  paced,
  recovery,
  bytes,
  growth,
  trainer,
  page,
  browser,
]
