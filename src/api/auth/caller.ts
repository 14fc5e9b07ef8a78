/** Who asks. Types only, and the one caller there is while no keys are in use. */

export interface Caller {
  /** Name for logs and lists, never the key; null while no keys are in use. */
  readonly tenant: string | null
  /** Enters the namespace: callers with different salts never share a block. */
  readonly salt: string
  readonly isAdmin: boolean
}

/** Without keys the service listens on loopback, and whoever is there is its owner. */
export const owner: Caller = { tenant: null, salt: '', isAdmin: true }
