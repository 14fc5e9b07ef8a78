/** Is the client still there? Every answer has an abort controller, and they are all known here. */
import type { ServerResponse } from 'node:http'
import { ClientGone } from './errors.ts'

/** Answers that are being computed now. */
export interface OpenAnswers {
  /** The signal aborts at once when the client's connection ends before its answer did. */
  follow(response: ServerResponse): AbortController
  /** Ends all of them for this reason; their clients get it as an error. */
  abortAll(reason: Error): void
  readonly count: number
}

export function openAnswers(): OpenAnswers {
  const open = new Set<AbortController>()
  return {
    follow(response) {
      const controller = new AbortController()
      open.add(controller)
      response.once('close', () => {
        open.delete(controller)
        if (!response.writableFinished) {
          controller.abort(new ClientGone('The client went away before its answer was complete.'))
        }
      })
      return controller
    },
    abortAll(reason) {
      for (const controller of open) controller.abort(reason)
    },
    get count() {
      return open.size
    },
  }
}
