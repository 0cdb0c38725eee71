/** Whether a host is this machine and nothing else; a name that a resolver may map to anything is not. */
export const isLoopback = (host: string): boolean => {
  const bare = host.toLowerCase().replace(/^\[|\]$/g, '')
  return bare === 'localhost' || bare === '::1' || /^127(?:\.\d{1,3}){3}$/.test(bare)
}
