import { readdirSync, readlinkSync } from 'node:fs'

/** The files below a directory that this process has open. */
export function openFiles(directory: string): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`)
      return path.startsWith(directory) ? [path] : []
    } catch {
      return [] // that of the directory itself, which is closed by now
    }
  })
}
