import { SCHEMA } from '../../src/journal/schema.ts'

/** Every table of a journal, so that a new one is not forgotten. */
export const TABLES: readonly string[] = Array.from(SCHEMA.matchAll(/CREATE TABLE (\w+)/g), (match) => match[1]!)
