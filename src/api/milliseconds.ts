/** To the microsecond: what a clock says beyond that is noise, and long to read. */
export const roundMs = (ms: number): number => Math.round(ms * 1000) / 1000
