/** Answers as the families' publishers show them, and what they mean. */
import type { ToolShape } from '../../../src/chat/answer/types.ts'

export interface Fixture {
  readonly family: string
  readonly what: string
  /** The words of the template by which it is known. */
  readonly template: string
  readonly promptEnd?: string
  readonly answer: string
  readonly text?: string
  readonly reasoning?: string
  /** Name and arguments, as they stand. */
  readonly calls?: readonly (readonly [string, string])[]
}

export const tools: readonly ToolShape[] = [
  {
    name: 'get_weather',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string' }, days: { type: 'integer' } },
    },
  },
  {
    name: 'write_file',
    parameters: {
      type: 'object',
      properties: { path: { type: 'string' }, content: { type: 'string' }, mode: {} },
    },
  },
]

const paris = ['get_weather', '{"city": "Paris"}'] as const
const oslo = ['get_weather', '{"city": "Oslo", "days": 2}'] as const

const hermes = '<tool_call> … </tool_call>'
const hermesThinking = `${hermes} <think> … </think>`
const hermesFixtures: Fixture[] = [
  {
    family: 'hermes',
    what: 'text, then two calls',
    template: hermes,
    answer:
      'Let me look.\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n' +
      '</tool_call>\n<tool_call>\n{"name": "get_weather", ' +
      '"arguments": {"city": "Oslo", "days": 2}}\n</tool_call>',
    text: 'Let me look.',
    calls: [paris, oslo],
  },
  {
    family: 'hermes',
    what: 'an end tag inside of a string, and odd spacing, which stays',
    template: hermes,
    answer:
      '<tool_call>{"arguments":{"path":"a","content":"</tool_call> \\"}"  },' +
      '"name":"write_file"}</tool_call>',
    calls: [['write_file', '{"path":"a","content":"</tool_call> \\"}"  }']],
  },
  {
    family: 'hermes',
    what: 'reasoning, then a call',
    template: hermesThinking,
    answer:
      '<think>\nThe user wants\n\nweather. <tool_call> is how.\n</think>\n\n' +
      '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>',
    reasoning: 'The user wants\n\nweather. <tool_call> is how.',
    calls: [paris],
  },
  {
    family: 'hermes',
    what: 'reasoning that the prompt began',
    template: hermesThinking,
    promptEnd: '<|im_start|>assistant\n<think>\n',
    answer: 'Easy.\n</think>\n\nIt rains.',
    reasoning: 'Easy.',
    text: 'It rains.',
  },
  {
    family: 'hermes',
    what: 'tags that only look like a call',
    template: hermes,
    answer: 'Write <tool_call>name</tool_call>, or a < b, or {"name": 1}.\n',
    text: 'Write <tool_call>name</tool_call>, or a < b, or {"name": 1}.\n',
  },
  {
    family: 'hermes',
    what: 'a call without its tags',
    template: hermes,
    answer: '```json\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n```',
    calls: [paris],
  },
]

const coder = '<tool_call> <function= <parameter= '
const qwenCoderFixtures: Fixture[] = [
  {
    family: 'qwen-coder',
    what: 'text and numbers by the schema, line ends of the value kept',
    template: coder,
    answer:
      'Sure.\n<tool_call>\n<function=write_file>\n<parameter=path>\n12\n</parameter>\n' +
      '<parameter=content>\nline "1"\n\n<b>é\\n</b>\n\n</parameter>\n' +
      '<parameter=mode>\n{"a": [1]}\n</parameter>\n</function>\n</tool_call>',
    text: 'Sure.',
    calls: [
      [
        'write_file',
        '{"path": "12", "content": "line \\"1\\"\\n\\n<b>é\\\\n</b>\\n", "mode": {"a": [1]}}',
      ],
    ],
  },
  {
    family: 'qwen-coder',
    what: 'a call without its outer tag, and one without arguments',
    template: coder,
    answer:
      '<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n</function>\n</tool_call>\n' +
      '<tool_call>\n<function=get_weather>\n</function>\n</tool_call>',
    calls: [paris, ['get_weather', '{}']],
  },
]

const llama3 = '<|start_header_id|> {"name": function name, "parameters": dictionary}'
const llama3Fixtures: Fixture[] = [
  {
    family: 'llama3',
    what: 'bare calls',
    template: llama3,
    answer:
      '{"name": "get_weather", "parameters": {"city": "Paris"}}; ' +
      '{"type": "function", "name": "get_weather", "parameters": {"city": "Oslo", "days": 2}}',
    calls: [paris, oslo],
  },
  {
    family: 'llama3',
    what: 'a call behind the tag',
    template: `${llama3} <|python_tag|>`,
    answer: '<|python_tag|>{"name": "get_weather", "parameters": {"city": "Paris"}}',
    calls: [paris],
  },
  {
    family: 'llama3',
    what: 'a built-in tool',
    template: `${llama3} <|python_tag|>`,
    answer: '<|python_tag|>get_weather.call(city="Paris")',
    calls: [paris],
  },
  {
    family: 'llama3',
    what: 'a call between function tags',
    template: llama3,
    answer: '<function=get_weather>{"city": "Paris"}</function>',
    calls: [paris],
  },
  {
    family: 'llama3',
    what: 'an object that the user asked for',
    template: llama3,
    answer: '\n{"name": "Ada", "parameters": {"born": 1815}}\n',
    text: '\n{"name": "Ada", "parameters": {"born": 1815}}\n',
  },
]

const mistralFixtures: Fixture[] = [
  {
    family: 'mistral',
    what: 'a list of calls with their ids',
    template: '[TOOL_CALLS] [AVAILABLE_TOOLS]',
    answer:
      '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Paris"}, "id": "a1b2c3d4e"}, ' +
      '{"name": "get_weather", "arguments": {"city": "Oslo", "days": 2}, "id": "f1b2c3d4e"}]',
    calls: [paris, oslo],
  },
  {
    family: 'mistral',
    what: 'reasoning, text, and calls of the newer kind',
    template: '[TOOL_CALLS] [ARGS] [THINK] [/THINK]',
    answer:
      '[THINK]Hm.[/THINK]I look.[TOOL_CALLS]get_weather[ARGS]{"city": "Paris"}' +
      '[TOOL_CALLS]get_weather[CALL_ID]a1b2c3d4e[ARGS]{"city": "Oslo", "days": 2}',
    reasoning: 'Hm.',
    text: 'I look.',
    calls: [paris, oslo],
  },
]

const gemma4 = '<|tool_call> <|channel> <|turn>'
const gemmaFixtures: Fixture[] = [
  {
    family: 'gemma4',
    what: 'a channel of thoughts, then calls',
    template: gemma4,
    answer:
      '<|channel>thought\nI need {weather}.<channel|>' +
      '<|tool_call>call:get_weather{city:<|"|>Paris<|"|>}<tool_call|>' +
      '<|tool_call>call:write_file{mode:{a:[1,<|"|>b, }<|"|>,true],n:null},path:<|"|>x<|"|>}' +
      '<tool_call|>',
    reasoning: 'I need {weather}.',
    calls: [paris, ['write_file', '{"mode": {"a": [1, "b, }", true], "n": null}, "path": "x"}']],
  },
  {
    family: 'function-gemma',
    what: 'a call',
    template: '<start_function_call>',
    answer:
      '<start_function_call>call:get_weather{city:<escape>Oslo<escape>,days:2}<end_function_call>',
    calls: [oslo],
  },
]

const harmony = '<|start|> <|channel|> <|message|>'
const harmonyFixtures: Fixture[] = [
  {
    family: 'harmony',
    what: 'analysis, a preamble, and a call',
    template: harmony,
    answer:
      '<|channel|>analysis<|message|>Need weather.<|end|>' +
      '<|start|>assistant<|channel|>commentary<|message|>I look.<|end|>' +
      '<|start|>assistant<|channel|>commentary to=functions.get_weather <|constrain|>json' +
      '<|message|>{"city": "Paris"}',
    reasoning: 'Need weather.',
    text: 'I look.',
    calls: [paris],
  },
  {
    family: 'harmony',
    what: 'the recipient before its channel',
    template: harmony,
    answer:
      ' to=functions.get_weather<|channel|>commentary json<|message|>{"city": "Paris"}<|call|>',
    calls: [paris],
  },
  {
    family: 'harmony',
    what: 'analysis and the final answer',
    template: harmony,
    answer:
      '<|channel|>analysis<|message|>Easy.<|end|>' +
      '<|start|>assistant<|channel|>final<|message|>4 < 5',
    reasoning: 'Easy.',
    text: '4 < 5',
  },
]

const lfm2Fixtures: Fixture[] = [
  {
    family: 'lfm2',
    what: 'Python calls, then text',
    template: '<|tool_list_start|>',
    answer:
      '<|tool_call_start|>[get_weather(city="Paris"), get_weather(city="Oslo", days=2)]' +
      '<|tool_call_end|>Checking the weather.',
    text: 'Checking the weather.',
    calls: [paris, oslo],
  },
  {
    family: 'lfm2',
    what: 'quotes as the template of 2.5 writes them, and nested values',
    template: '<|tool_call_start|> <think> </think>',
    answer:
      '<think>Hm.</think>' +
      "<|tool_call_start|>[write_file(path='it's', mode={'a': [True, None, -1.5]})]" +
      '<|tool_call_end|>',
    reasoning: 'Hm.',
    calls: [['write_file', '{"path": "it\'s", "mode": {"a": [true, null, -1.5]}}']],
  },
]

const deepseekFixtures: Fixture[] = [
  {
    family: 'deepseek',
    what: 'R1: reasoning that the prompt began, and calls in fences',
    template: '<｜tool▁call▁begin｜> ```json </think>',
    promptEnd: '<｜Assistant｜><think>\n',
    answer:
      'Hm.\n</think>\n\nI look.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>' +
      'get_weather\n```json\n{"city": "Paris"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>' +
      'function<｜tool▁sep｜>get_weather\n```json\n{"city": "Oslo", "days": 2}\n```' +
      '<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    reasoning: 'Hm.',
    text: 'I look.',
    calls: [paris, oslo],
  },
  {
    family: 'deepseek',
    what: 'V3.1',
    template: '<｜tool▁call▁begin｜> </think>',
    promptEnd: '<｜Assistant｜></think>',
    answer:
      '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Paris"}' +
      '<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    calls: [paris],
  },
]

const glmFixtures: Fixture[] = [
  {
    family: 'glm',
    what: 'reasoning, text and a call',
    template: '<tool_call>{function-name} <arg_key> <think></think>',
    answer:
      '\n<think>Weather.</think>\nI look.\n<tool_call>get_weather\n<arg_key>city</arg_key>\n' +
      '<arg_value>Oslo</arg_value>\n<arg_key>days</arg_key>\n<arg_value>2</arg_value>\n' +
      '</tool_call>',
    reasoning: 'Weather.',
    text: 'I look.',
    calls: [oslo],
  },
]

const jsonFixtures: Fixture[] = [
  {
    family: 'json',
    what: 'a call',
    template: 'a template that knows no tools',
    answer: ' {"name": "get_weather", "arguments": {"city": "Paris"}}\n',
    calls: [paris],
  },
  {
    family: 'json',
    what: 'a list of calls in a fence',
    template: '',
    answer:
      '```json\n[{"name": "get_weather", "arguments": {"city": "Paris"}},\n' +
      '{"function": {"name": "get_weather", ' +
      '"arguments": "{\\"city\\": \\"Oslo\\", \\"days\\": 2}"}}]\n```',
    calls: [paris, oslo],
  },
  {
    family: 'json',
    what: 'a list that is an answer',
    template: '',
    answer: '[{"city": "Paris"}]',
    text: '[{"city": "Paris"}]',
  },
]

export const fixtures: readonly Fixture[] = [
  ...hermesFixtures,
  ...qwenCoderFixtures,
  ...llama3Fixtures,
  ...mistralFixtures,
  ...gemmaFixtures,
  ...harmonyFixtures,
  ...lfm2Fixtures,
  ...deepseekFixtures,
  ...glmFixtures,
  ...jsonFixtures,
]
