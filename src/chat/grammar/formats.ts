/**
 * Formats that are written out as regular expressions. The others only describe (`uri`, `hostname`,
 * …): JSON schema itself leaves them to whoever reads the value.
 */

const yearMonthDay = [
  '\\d{4}-(0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])',
  '\\d{4}-(0[469]|11)-(0[1-9]|[12]\\d|30)',
  '\\d{4}-02-(0[1-9]|1\\d|2[0-8])',
  // Years with a 29th of February: every fourth, but only every fourth hundred.
  '(\\d\\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29',
].join('|')
const hourMinute = '([01]\\d|2[0-3]):[0-5]\\d'
const clock = `${hourMinute}:[0-5]\\d(\\.\\d{1,9})?(Z|[+-]${hourMinute})`
const octet = '(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)'
const hex = '[0-9a-f]'
const local = '[A-Za-z0-9_+-]{1,30}(\\.[A-Za-z0-9_+-]{1,30})?'
const label = '[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?'

const formats: Readonly<Record<string, string>> = {
  date: `^(${yearMonthDay})$`,
  time: `^${clock}$`,
  'date-time': `^(${yearMonthDay})T${clock}$`,
  uuid: `^${hex}{8}-${hex}{4}-[1-5]${hex}{3}-[89ab]${hex}{3}-${hex}{12}$`,
  ipv4: `^(${octet}\\.){3}${octet}$`,
  email: `^${local}@(${label}\\.){1,3}[A-Za-z]{2,12}$`,
}

/** Null: the format only describes. */
export const formatPattern = (format: string | null): string | null =>
  format !== null && Object.hasOwn(formats, format) ? (formats[format] ?? null) : null
