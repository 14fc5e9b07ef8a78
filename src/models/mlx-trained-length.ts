/**
 * How long a text an MLX model was trained for, by its config.json: the worker's own rule
 * (prefixd_mlx/trained_length.py). Pure.
 */
type ModelConfig = Readonly<Record<string, unknown>>

const lengths = ['max_position_embeddings', 'n_positions', 'max_seq_len']
/** What these reach is their factor times the length before; of the others `lengths` has it. */
const stretched: readonly unknown[] = ['yarn', 'deepseek_yarn', 'telechat3-yarn']

/** In tokens; null: the file does not say it. */
export function mlxTrainedLength(config: ModelConfig): number | null {
  for (const place of [config, config.text_config]) {
    if (!isObject(place)) continue
    const length = lengths.map((name) => place[name]).find(isLength)
    if (length !== undefined) return Math.max(length, stretchedLength(place))
  }
  return null
}

/** 0: not stretched. */
function stretchedLength(place: ModelConfig): number {
  const scaling = [place.rope_scaling, place.rope_parameters].find(isObject)
  if (scaling === undefined || !stretched.includes(scaling.type ?? scaling.rope_type)) return 0
  const { original_max_position_embeddings: first, factor } = scaling
  return isLength(first) && typeof factor === 'number' ? Math.floor(first * factor) : 0
}

const isObject = (value: unknown): value is ModelConfig =>
  typeof value === 'object' && value !== null

const isLength = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value > 0
