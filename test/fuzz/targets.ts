import { ANSWER_TARGETS } from './answers.ts'
import { HTTP_TARGETS } from './http.ts'
import { JOURNAL_TARGETS } from './journals.ts'
import { LINE_TARGETS } from './lines.ts'
import { OTLP_TARGETS } from './otlp.ts'
import type { Target } from './target.ts'
import { TEXT_TARGETS } from './texts.ts'

/** Everything of the program that reads what somebody else has written. */
export const TARGETS: readonly Target[] = [
  ...LINE_TARGETS,
  ...OTLP_TARGETS,
  ...HTTP_TARGETS,
  ...TEXT_TARGETS,
  ...ANSWER_TARGETS,
  ...JOURNAL_TARGETS,
]
