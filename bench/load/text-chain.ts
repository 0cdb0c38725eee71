/**
 * The least that delivering lines to MLflow can cost one thread: the bodies of `runs/log-batch` for lines of 10 numbers, none of
 * which came before, are put together as text and become bytes. Nothing is read, kept or sent. Prints how many bytes there were.
 *
 *     node bench/load/text-chain.ts LINES
 */
const lines = Number(process.argv[2])
const NUMBERS = 10
const LINES_A_BODY = 100
const heads = Array.from({ length: NUMBERS }, (_, i) => `{"key":"trainer/number_${i}","value":`)
const time = 1_772_366_400_000
let bytes = 0
for (let from = 0; from < lines; from += LINES_A_BODY) {
  let body = '{"run_id":"0123456789abcdef0123456789abcdef","metrics":['
  for (let line = from; line < from + LINES_A_BODY; line += 1) {
    const tail = `,"timestamp":${time + line},"step":${line}}`
    for (let i = 0; i < NUMBERS; i += 1)
      body += `${line === from && i === 0 ? '' : ','}${heads[i]!}${Math.random() * 10}${tail}`
  }
  bytes += Buffer.from(`${body}]}`).length
}
console.log(bytes)
