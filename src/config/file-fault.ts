/** What of the system's codes a person can do something about, in words. */
const words: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EISDIR: 'it is a folder',
  EACCES: 'its permissions do not allow it',
  EPERM: 'its permissions do not allow it',
  EROFS: 'the disk can only be read',
  ENOSPC: 'the disk is full',
  EDQUOT: 'your share of the disk is used up',
  EIO: 'the disk refuses',
}

/** Why a file could not be read or written; for what has no words here, the system's own. */
export function fileFault(cause: unknown): string {
  const { code = '', message = String(cause) } = cause as NodeJS.ErrnoException
  return words[code] ?? message
}

/** The system has refused something; whatever else was thrown is somebody's mistake. */
export const isSystemError = (error: unknown): boolean =>
  error instanceof Error && 'syscall' in error && 'code' in error
