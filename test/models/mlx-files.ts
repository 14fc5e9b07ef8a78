/** Files of an MLX model as they lie in a folder, and a hub that has them in a repository. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Handler, modelBytes, sendFile, sha256 } from './fake-hub.ts'

export const mlxConfig = {
  model_type: 'llama',
  num_hidden_layers: 4,
  hidden_size: 256,
  intermediate_size: 512,
  num_attention_heads: 8,
  num_key_value_heads: 2,
  max_position_embeddings: 8192,
}

const shards = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'] as const
export const [firstShard, secondShard] = shards

/** Two shards with an index of them. */
export const mlxFiles = (seed = 1): Record<string, Buffer> => ({
  'config.json': Buffer.from(JSON.stringify(mlxConfig)),
  'model.safetensors.index.json': Buffer.from(
    JSON.stringify({ weight_map: { first: firstShard, second: secondShard } }),
  ),
  [firstShard]: modelBytes(60_000, seed),
  [secondShard]: modelBytes(50_000, seed + 1),
  'tokenizer.json': Buffer.from('{"version":"1.0"}'),
  'tokenizer_config.json': Buffer.from('{}'),
  'chat_template.jinja': Buffer.from('{{ messages }}'),
})

export interface FakeRepository {
  readonly url: string
  readonly commit: string
  /** Path of each request that came, in order, with its range behind a space. */
  readonly requests: string[]
  /** Answers of the next requests for a file, by its name. */
  readonly script: Map<string, Handler[]>
  files: Record<string, Buffer>
  /** What the list says, where that is not what is sent. */
  listed: { commit?: string; files?: Record<string, Buffer> }
  close(): Promise<void>
}

const commit = 'c0ffee'.padEnd(40, '0')

/** `owner/repo`; files of more than 10,000 bytes are kept by their content, as the hub does. */
export async function startFakeRepository(files: Record<string, Buffer>): Promise<FakeRepository> {
  const server = createServer((request, response) => {
    const { pathname, search } = new URL(request.url ?? '/', 'http://hub')
    repository.requests.push([pathname, request.headers.range].filter(Boolean).join(' '))
    if (pathname.startsWith('/api/models/owner/repo/revision/') && search === '?blobs=true') {
      response.end(JSON.stringify(listingOf(repository)))
      return
    }
    const name = pathname.split('/').at(-1) ?? ''
    const file = repository.files[name]
    const scripted = repository.script.get(name)?.shift()
    if (scripted !== undefined) return scripted(request, response)
    if (file === undefined) return void response.writeHead(404).end()
    const declaredSha256 = file.length > 10_000 ? sha256(file) : null
    sendFile({ file, etag: `"${sha256(file).slice(0, 8)}"`, declaredSha256 }, request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const repository: FakeRepository = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    commit,
    requests: [],
    script: new Map(),
    files,
    listed: {},
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return repository
}

const listingOf = ({ files, listed }: FakeRepository) => ({
  sha: listed.commit ?? commit,
  siblings: Object.entries(listed.files ?? files).map(([rfilename, bytes]) => ({
    rfilename,
    size: bytes.length,
    ...(bytes.length > 10_000 ? { lfs: { sha256: sha256(bytes), size: bytes.length } } : {}),
  })),
})
