/** Maps descriptor 3, prints the five bytes that it finds at an offset, and writes five others. */
import { mapShared } from '../../cache/tiers/libc.ts'

const [sizeBytes, offset] = process.argv.slice(2).map(Number) as [number, number]
const bytes = Buffer.from(mapShared(3, sizeBytes).buffer, offset, 5)
process.stdout.write(bytes.toString())
bytes.write('WORLD')
