/** Queries of our own routes are taken at their word, also where a route has none. */
import type { Server } from '../context.ts'
import { exactly } from './values.ts'

const NoQuerySchema = exactly({})

/** For all routes that are added after it and do not say what their query is. */
export function refuseOtherQueries(server: Server): void {
  server.addHook('onRoute', (route) => {
    route.schema = { querystring: NoQuerySchema, ...route.schema }
  })
}
