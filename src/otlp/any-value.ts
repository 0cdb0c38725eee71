import { fieldSet, I64, LEN, tagOf, VARINT } from './wire.ts'

/*
 * Fields of KeyValue and AnyValue (opentelemetry/proto/common/v1/common.proto).
 */

export const KEY = tagOf(1, LEN)
export const VALUE = tagOf(2, LEN)
export const KEY_VALUE = fieldSet(1, 2)

export const STRING = tagOf(1, LEN)
export const BOOL = tagOf(2, VARINT)
export const INT = tagOf(3, VARINT)
export const DOUBLE = tagOf(4, I64)
export const ARRAY = tagOf(5, LEN)
export const KVLIST = tagOf(6, LEN)
export const BYTES = tagOf(7, LEN)
export const ANY_VALUE = fieldSet(1, 2, 3, 4, 5, 6, 7)

/** The one field of ArrayValue and of KeyValueList. */
export const ITEMS = tagOf(1, LEN)
