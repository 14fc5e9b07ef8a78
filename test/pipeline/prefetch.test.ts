import { describe, expect, it } from 'vitest'
import type { PrefixLease } from '../../cache/index.ts'
import type { Sequence } from '../../engines/index.ts'
import { limits } from '../../src/config/limits.ts'
import { admit } from '../../src/pipeline/admission.ts'
import { createPrefetch, noPrefetch } from '../../src/pipeline/prefetch.ts'

const never = new AbortController().signal

/** A lease that is read until `end` is called, or until its signal says stop. */
function slowLease() {
  const seen = { begun: 0, stopped: 0, released: 0 }
  let end = (): void => {}
  const lease = {
    readAhead: (signal: AbortSignal) =>
      new Promise<void>((resolve) => {
        seen.begun++
        end = resolve
        signal.addEventListener('abort', () => {
          seen.stopped++
          resolve()
        })
      }),
    release: () => {
      seen.released++
    },
  }
  return { seen, take: () => lease as unknown as PrefixLease, end: () => end() }
}

const soon = () => new Promise((resolve) => setTimeout(resolve, 5))

describe('reading ahead for requests that wait', () => {
  it('reads for one at a time, in the order in which they came', async () => {
    const prefetch = createPrefetch(() => {})
    const [first, second, third] = [slowLease(), slowLease(), slowLease()]
    const all = [first, second, third].map(({ take }) => prefetch.readAhead(take, never))
    await soon()
    expect([first, second, third].map(({ seen }) => seen.begun)).toEqual([1, 0, 0])
    first.end()
    await soon()
    expect([first, second, third].map(({ seen }) => seen.begun)).toEqual([1, 1, 0])
    second.end()
    await soon()
    third.end()
    await Promise.all(all)
    expect([first, second, third].map(({ seen }) => seen.released)).toEqual([1, 1, 1])
  })

  it('never takes a lease for a request that was admitted while it waited for its turn', async () => {
    const prefetch = createPrefetch(() => {})
    const [first, second, third] = [slowLease(), slowLease(), slowLease()]
    const reading = prefetch.readAhead(first.take, never)
    const admitted = new AbortController()
    const waiting = prefetch.readAhead(second.take, admitted.signal)
    const last = prefetch.readAhead(third.take, never)
    admitted.abort()
    await waiting
    await soon()
    first.end()
    await reading
    await soon()
    expect([second.seen.begun, third.seen.begun]).toEqual([0, 1])
    third.end()
    await last
  })

  it('reports a failure, gives the lease back, and reads for the next one', async () => {
    const failures: unknown[] = []
    const prefetch = createPrefetch((error) => failures.push(error))
    const broken = () => {
      throw new Error('no plan')
    }
    await prefetch.readAhead(broken, never)
    expect(failures).toEqual([new Error('no plan')])
    const next = slowLease()
    const reading = prefetch.readAhead(next.take, never)
    await soon()
    next.end()
    await reading
    expect(next.seen).toMatchObject({ begun: 1, released: 1 })
  })
})

describe('the admission of a request', () => {
  const sequence = {} as Sequence

  it('reads ahead while it waits, and stops that before it goes on', async () => {
    let admitIt = (_: Sequence): void => {}
    const engine = { openSequence: () => new Promise<Sequence>((resolve) => (admitIt = resolve)) }
    const lease = slowLease()
    const admission = admit(
      engine,
      createPrefetch(() => {}),
      lease.take,
      never,
    )
    await new Promise((resolve) => setTimeout(resolve, 2 * limits.prefetchAfterMs))
    expect(lease.seen.begun).toBe(1)
    admitIt(sequence)
    expect(await admission).toBe(sequence)
    expect(lease.seen).toEqual({ begun: 1, stopped: 1, released: 1 })
  })

  it('reads nothing ahead where a sequence is free', async () => {
    const lease = slowLease()
    const engine = { openSequence: async () => sequence }
    await admit(
      engine,
      createPrefetch(() => {}),
      lease.take,
      never,
    )
    await new Promise((resolve) => setTimeout(resolve, 2 * limits.prefetchAfterMs))
    expect(lease.seen.begun).toBe(0)
  })

  it('leaves no lease behind when the request is given up', async () => {
    const gone = new AbortController()
    const engine = {
      openSequence: (signal: AbortSignal) =>
        new Promise<Sequence>((_, reject) =>
          signal.addEventListener('abort', () => reject(new Error('gone'))),
        ),
    }
    const lease = slowLease()
    const admission = admit(
      engine,
      createPrefetch(() => {}),
      lease.take,
      gone.signal,
    )
    await new Promise((resolve) => setTimeout(resolve, 2 * limits.prefetchAfterMs))
    gone.abort()
    await expect(admission).rejects.toThrow('gone')
    expect(lease.seen.released).toBe(1)
  })

  it('reads nothing where that is switched off', async () => {
    const lease = slowLease()
    await noPrefetch.readAhead(lease.take, never)
    expect(lease.seen.begun).toBe(0)
  })
})
