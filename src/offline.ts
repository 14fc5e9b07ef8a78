/** What is done to a directory that no service has open. */
import { verifyDirectory } from '../cache/index.ts'
import { toVerifyEvent } from './api/native/verify.ts'
import type { OfflineOptions, ServiceModule } from './cli/service.ts'
import { readEncryptionKey } from './config/encryption-key.ts'
import { limits } from './config/limits.ts'
import type { Config } from './config/schema.ts'

export const verifyOffline: ServiceModule['verifyOffline'] = async function* (
  config: Config,
  options: OfflineOptions,
) {
  const store = {
    directory: config.dir,
    encryptionKey: readEncryptionKey(config, process.env),
    readsInFlight: limits.ssdReadsInFlight,
  }
  for await (const event of verifyDirectory({ ...options, ...store })) {
    yield toVerifyEvent(event)
  }
}
