/** Small templates in the manner of the families' own, with the habits that matter. */

const turn = (body: string) =>
  `{%- for m in messages %}${body}{%- endfor %}{%- if add_generation_prompt %}`

/** Qwen 3: arguments as text or object, reasoning kept behind the last question. */
export const qwen3 = `
{%- if tools %}<|im_start|>system
{% for t in tools %}{{ t | tojson }}
{% endfor %}<tool_call> {"name": …} </tool_call><|im_end|>
{% endif %}
{%- set ns = namespace(last=0) %}
{%- for m in messages %}
{%- if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}
{%- endfor %}
${turn(`<|im_start|>{{ m.role }}
{% if m.role == 'assistant' and m.reasoning_content and loop.index0 > ns.last -%}
{{ '<think>\\n' + m.reasoning_content + '\\n</think>\\n\\n' }}{% endif -%}
{{ m.content }}
{%- for c in m.tool_calls or [] %}
{{- '\\n' if not loop.first or m.content else '' }}<tool_call>
{"name": "{{ c.function.name }}", "arguments": {% if c.function.arguments is string -%}
{{ c.function.arguments }}{% else %}{{ c.function.arguments | tojson }}{% endif %}}
</tool_call>
{%- endfor %}<|im_end|>
`)}<|im_start|>assistant
{% endif %}`

/** Mistral: calls as objects, ids of nine letters and digits, users and assistants in turns. */
export const mistral = `
{%- if tools %}[AVAILABLE_TOOLS]{{ tools | tojson }}[/AVAILABLE_TOOLS]{% endif %}
${turn(`{%- if m.role == 'user' %}[INST] {{ m.content }}[/INST]
{%- elif m.tool_calls %}[TOOL_CALLS][
{%- for c in m.tool_calls %}{% if c.id | length != 9 %}{{ raise_exception('ids!') }}{% endif %}
{{- ', ' if not loop.first else '' }}{"name": "{{ c.function.name }}", "arguments": {{ '' -}}
{{ c.function.arguments | tojson }}, "id": "{{ c.id }}"}{% endfor %}]</s>
{%- elif m.role == 'tool' %}[TOOL_RESULTS]{{ m.tool_call_id }} {{ m.content }}[/TOOL_RESULTS]
{%- else %}{{ m.content }}</s>{% endif %}`)}{% endif %}`

/** Llama 3: one call a message, as an object; results by `ipython`. */
export const llama3 = `
{%- if tools %}<|start_header_id|>system<|end_header_id|>{{ tools | tojson }}
{"name": …, "parameters": …}<|eot_id|>{% endif %}
${turn(`{%- if m.tool_calls %}
{%- if m.tool_calls | length != 1 %}{{ raise_exception('single tool-calls only') }}{% endif -%}
<|start_header_id|>assistant<|end_header_id|>

{"name": "{{ m.tool_calls[0].function.name }}", "parameters": {{ '' -}}
{{ m.tool_calls[0].function.arguments | tojson }}}<|eot_id|>
{%- else %}<|start_header_id|>{{ 'ipython' if m.role == 'tool' else m.role }}<|end_header_id|>

{{ m.content }}<|eot_id|>{% endif %}`)}<|start_header_id|>assistant<|end_header_id|>

{% endif %}`

/** DeepSeek V3: text arguments, calls only where the content is null, no tools. */
export const deepseek = turn(`{%- if m.role == 'user' %}<｜User｜>{{ m.content }}<｜Assistant｜>
{%- elif m.role == 'assistant' and m.content is none %}<｜tool▁calls▁begin｜>
{%- for c in m.tool_calls %}{{ '\\n' if not loop.first else '' -}}
<｜tool▁call▁begin｜>function<｜tool▁sep｜>{{ c.function.name }}
\`\`\`json
{{ c.function.arguments }}
\`\`\`<｜tool▁call▁end｜>{% endfor %}<｜tool▁calls▁end｜><｜end▁of▁sentence｜>
{%- elif m.role == 'assistant' %}{{ m.content }}<｜end▁of▁sentence｜>
{%- else %}<｜tool▁output▁begin｜>{{ m.content }}<｜tool▁output▁end｜>{% endif %}`).concat(
  '{% endif %}',
)

/** gpt-oss: reasoning is `thinking`, and never beside text in a message with calls. */
export const harmony = `
{%- if tools %}<|start|>developer<|message|>{{ tools | tojson }}<|end|>{% endif %}
${turn(`{%- if m.tool_calls %}
{%- if m.content and m.thinking %}{{ raise_exception('content and thinking') }}{% endif %}
{%- if m.thinking -%}
<|start|>assistant<|channel|>analysis<|message|>{{ m.thinking }}<|end|>{% endif %}
{%- set c = m.tool_calls[0].function -%}
<|start|>assistant<|channel|>commentary to=functions.{{ c.name }} <|constrain|>json<|message|>
{{- c.arguments | tojson }}<|call|>
{%- elif m.role == 'tool' %}<|start|>functions.{{ m.name }}<|message|>{{ m.content }}<|end|>
{%- elif m.role == 'assistant' %}<|start|>assistant<|channel|>final<|message|>{{ m.content }}<|end|>
{%- else %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% endif %}`)}<|start|>assistant
{%- endif %}`

/** Gemma 3: no tools, no system message of its own, users and assistants in turns. */
export const gemma3 = turn(`{%- if m.role not in ['user', 'assistant'] -%}
{{ raise_exception('only users and assistants') }}{% endif %}
{%- if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('in turns') }}{% endif -%}
<start_of_turn>{{ 'model' if m.role == 'assistant' else 'user' }}
{{ m.content | trim }}<end_of_turn>
`).concat('<start_of_turn>model\n{% endif %}')

/** A model that thinks, by a template that keeps what it is given. */
export const chatml = turn(`<|im_start|>{{ m.role }}
{{ m.content }}<|im_end|>
`).concat('<|im_start|>assistant\n{# <think> #}{% endif %}')
