/** Tools as agents have them, whose schemas ask for all that a grammar can hold a model to. */
export interface AgentTool {
  readonly name: string
  readonly description: string
  readonly parameters: object
}

const object = (properties: object, required = Object.keys(properties)): object => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
})
const text = (maxLength: number) => ({ type: 'string', minLength: 1, maxLength })

export const agentTools: readonly AgentTool[] = [
  {
    name: 'get_weather',
    description: 'The weather of the coming days.',
    parameters: object(
      {
        city: { enum: ['Graz', 'Oslo', 'Lima', 'Kyoto'] },
        days: { type: 'integer', minimum: 1, maximum: 14 },
        unit: { type: ['string', 'null'], enum: ['celsius', 'fahrenheit', null] },
      },
      ['city', 'days'],
    ),
  },
  {
    name: 'write_file',
    description: 'Writes a file of the project.',
    parameters: object(
      {
        path: { type: 'string', pattern: '^(src|test)/[a-z][a-z0-9-]{0,20}\\.(ts|md)$' },
        content: text(80),
        mode: { type: 'integer', multipleOf: 8, minimum: 256, maximum: 511 },
      },
      ['path', 'content'],
    ),
  },
  {
    name: 'plan_trip',
    description: 'Books a trip with its stops.',
    parameters: {
      ...object({
        when: { type: 'string', format: 'date' },
        traveller: object({
          name: text(24),
          age: { type: 'integer', minimum: 0, maximum: 120 },
          contact: { anyOf: [{ type: 'string', format: 'email' }, { type: 'null' }] },
        }),
        stops: { type: 'array', items: { $ref: '#/$defs/stop' }, minItems: 1, maxItems: 3 },
      }),
      $defs: {
        stop: object({ place: text(16), nights: { type: 'integer', minimum: 1, maximum: 9 } }),
      },
    },
  },
  {
    name: 'set_budget',
    description: 'Limits what may be spent.',
    parameters: object({
      amount: { type: 'number', exclusiveMinimum: 0, maximum: 9999.5 },
      currency: { type: 'string', pattern: '^[A-Z]{3}$' },
      shares: {
        type: 'array',
        prefixItems: [{ const: 'travel' }, { type: 'number', minimum: 0, maximum: 1 }],
        items: false,
        minItems: 2,
      },
    }),
  },
  {
    name: 'label_issue',
    description: 'Labels an issue of the tracker.',
    parameters: object({
      id: { type: 'string', format: 'uuid' },
      change: {
        oneOf: [
          object({
            kind: { const: 'add' },
            labels: { type: 'array', items: text(12), maxItems: 3 },
          }),
          object({ kind: { const: 'close' }, reason: { enum: ['done', 'duplicate'] } }),
        ],
      },
      silent: { type: 'boolean' },
    }),
  },
]
