import { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Random } from './random.ts'
import { Crash, type Life, type Time } from './time.ts'

/** How a disk is at fault; shares of 1. */
export interface DiskFaults {
  /** Of statements that write: the disk is full, or fails. */
  failure: number
  /** Of commits: they take up to 2 s. */
  slow: number
}

/* oxlint-disable typescript/unbound-method, typescript/no-this-alias, typescript/no-explicit-any -- methods of a class are replaced for all its objects */

const methods = {
  exec: DatabaseSync.prototype.exec,
  prepare: DatabaseSync.prototype.prepare,
  run: StatementSync.prototype.run,
  get: StatementSync.prototype.get,
  all: StatementSync.prototype.all,
}

const WRITES = /^\s*(?:INSERT|UPDATE|DELETE|COMMIT|BEGIN IMMEDIATE|CREATE)/i

/**
 * The disk under the journals: files of a real SQLite, whose statements can be where the process dies (what was not
 * committed is gone then, as SQLite promises), or where the disk fails.
 */
export class Disk {
  faults: DiskFaults = { failure: 0, slow: 0 }
  /** Hears of every statement before it runs, and may kill the process. */
  onStatement: (sql: string) => void = () => {}
  /** The next statement that writes fails, whatever the shares are. */
  failsNext = false
  readonly #time: Time
  readonly #random: Random
  /** What each process has open. */
  readonly #open = new Map<Life, Set<DatabaseSync>>()
  readonly #of = new WeakMap<object, DatabaseSync>()
  /** Whether the transaction of a database is one that writes. */
  readonly #writes = new WeakMap<DatabaseSync, boolean>()
  readonly #inMemory = new WeakMap<DatabaseSync, boolean>()

  constructor(time: Time, random: Random) {
    this.#time = time
    this.#random = random
  }

  /** The process has died: what it has not committed is rolled back, and its locks are gone. */
  release(life: Life): void {
    for (const database of this.#open.get(life) ?? []) if (database.isOpen) database.close()
    this.#open.delete(life)
  }

  install(): void {
    const disk = this
    DatabaseSync.prototype.exec = function exec(sql) {
      disk.#before(this, sql)
      return methods.exec.call(this, sql)
    }
    DatabaseSync.prototype.prepare = function prepare(sql, options) {
      const statement = methods.prepare.call(this, sql, options)
      disk.#of.set(statement, this)
      return statement
    }
    for (const name of ['run', 'get', 'all'] as const) {
      StatementSync.prototype[name] = function statement(this: StatementSync, ...values: any[]): any {
        disk.#before(disk.#of.get(this)!, this.sourceSQL)
        return (methods[name] as any).call(this, ...values)
      }
    }
  }

  uninstall(): void {
    DatabaseSync.prototype.exec = methods.exec
    DatabaseSync.prototype.prepare = methods.prepare
    for (const name of ['run', 'get', 'all'] as const) StatementSync.prototype[name] = methods[name] as never
  }

  #before(database: DatabaseSync, sql: string): void {
    const { life } = this.#time
    if (life === null) return // the one who looks on
    if (!life.alive) throw new Crash()
    let open = this.#open.get(life)
    if (open === undefined) this.#open.set(life, (open = new Set()))
    open.add(database)
    this.onStatement(sql)
    if (/^\s*BEGIN/i.test(sql)) this.#writes.set(database, /IMMEDIATE/i.test(sql))
    if (!WRITES.test(sql) || this.#isInMemory(database)) return
    // What has only read is not written.
    if (/^\s*COMMIT/i.test(sql) && this.#writes.get(database) !== true) return
    if (/^\s*COMMIT/i.test(sql) && this.#random.chance(this.faults.slow)) this.#time.now += this.#random.long(10, 2000)
    if (!this.failsNext && (this.faults.failure === 0 || !this.#random.chance(this.faults.failure))) return
    this.failsNext = false
    if (database.isTransaction) methods.exec.call(database, 'ROLLBACK')
    const [errcode, message] = this.#random.of([
      [13, 'database or disk is full'],
      [778, 'disk I/O error'],
    ] as const)
    throw Object.assign(new Error(message), { code: 'ERR_SQLITE_ERROR', errcode })
  }

  #isInMemory(database: DatabaseSync): boolean {
    let known = this.#inMemory.get(database)
    if (known === undefined) this.#inMemory.set(database, (known = database.location() === null))
    return known
  }
}
