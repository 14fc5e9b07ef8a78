/** What is done to a directory that no service has open. */
import { verifyDirectory } from '../cache/index.ts'
import { toVerifyEvent } from './api/native/verify.ts'
import type { OfflineOptions, ServiceModule } from './cli/service.ts'
import { limits } from './config/limits.ts'

export const verifyOffline: ServiceModule['verifyOffline'] = async function* (
  directory: string,
  options: OfflineOptions,
) {
  const readsInFlight = limits.ssdReadsInFlight
  for await (const event of verifyDirectory({ ...options, directory, readsInFlight })) {
    yield toVerifyEvent(event)
  }
}
