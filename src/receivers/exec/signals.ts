import { readFileSync } from 'node:fs'

/** Signals that reach a command as if we were not there. */
export const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const

/** Keys of a terminal that send a signal to every process in its foreground. */
const FROM_KEYBOARD: readonly string[] = ['SIGINT', 'SIGQUIT']

/**
 * Whether the command has had this signal already: what a terminal sends goes to the whole foreground process group,
 * the command included, and a second interrupt would cut off its cleaning up.
 */
export const reachesChildItself = (signal: string): boolean => FROM_KEYBOARD.includes(signal) && isInForeground()

/** Whether our process group is the one that a terminal's keys go to (Linux: /proc/self/stat, proc(5)). */
function isInForeground(): boolean {
  try {
    const stat = readFileSync('/proc/self/stat', 'utf8')
    // The program's name stands in parentheses and may hold anything; state, ppid, pgrp, session, tty, tpgid follow.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[2] === fields[5]
  } catch {
    return process.stdin.isTTY
  }
}
