/** What a simulation has met. */
export interface EpisodeCounts {
  requests: number
  restoredTokens: number
  kills: number
  powerCuts: number
  workerDeaths: number
  damages: number
  /** Changes of a tier's budget. */
  resizes: number
  /** Times that a group had used up its share of a tier. */
  fullShares: number
  audits: number
  /** Acknowledged prefixes that an audit asked for, and of how many all of it was owed. */
  asked: number
  askedWhole: number
}

export const noCounts: Readonly<EpisodeCounts> = {
  requests: 0,
  restoredTokens: 0,
  kills: 0,
  powerCuts: 0,
  workerDeaths: 0,
  damages: 0,
  resizes: 0,
  fullShares: 0,
  audits: 0,
  asked: 0,
  askedWhole: 0,
}
