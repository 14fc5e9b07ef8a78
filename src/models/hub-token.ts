import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Surroundings } from '../config/paths.ts'
import { PrefixdError } from '../errors.ts'

/** Where the hub's own tools keep their cache and their token. */
export const hubHome = ({ env, home }: Surroundings): string =>
  env.HF_HOME || join(env.XDG_CACHE_HOME || join(home, '.cache'), 'huggingface')

/** The token of HF_TOKEN, or of the file that the hub's own login wrote; null: there is none. */
export async function hubToken(
  around: Surroundings,
): Promise<{ readonly value: string; readonly from: string } | null> {
  const fromEnv = around.env.HF_TOKEN || around.env.HUGGING_FACE_HUB_TOKEN
  if (fromEnv) return checked(fromEnv, 'HF_TOKEN')
  const path = around.env.HF_TOKEN_PATH || join(hubHome(around), 'token')
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw new PrefixdError(
      'PREFIXD_E_MODEL_PULL',
      `The hub token in ${path} cannot be read (${(error as NodeJS.ErrnoException).code}).`,
      { field: 'HF_TOKEN_PATH', next: 'Make it readable, or set HF_TOKEN.', cause: error },
    )
  }
  return text.trim() === '' ? null : checked(text, path)
}

function checked(text: string, from: string): { value: string; from: string } {
  const value = text.trim()
  if (/^[\x21-\x7e]{1,4096}$/.test(value)) return { value, from }
  throw new PrefixdError(
    'PREFIXD_E_MODEL_PULL',
    `${from} is not a token: it must be one line of printable ASCII without spaces.`,
    { field: 'HF_TOKEN', next: 'Copy the token again, or unset it for public models.' },
  )
}
