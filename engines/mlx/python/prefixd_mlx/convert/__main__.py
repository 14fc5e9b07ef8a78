"""`python -m prefixd_mlx.convert FILE.gguf FOLDER --dtype stored`: for `prefixd models convert`.

FOLDER exists and is empty; whoever calls gives it its name when it is whole, and removes it when it
is not. Says on standard output, a line of JSON each, how far it is and what went wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, get_args

from prefixd_mlx.convert.architecture import Architecture
from prefixd_mlx.convert.errors import ConvertError
from prefixd_mlx.convert.gguf_file import GgufFile, read_gguf
from prefixd_mlx.convert.rope import FREQUENCIES
from prefixd_mlx.convert.tensor_types import dense
from prefixd_mlx.convert.tokenizer import GgufTokenizer
from prefixd_mlx.convert.weights import Dtype, Progress, write_weights


def main() -> int:
    parser = argparse.ArgumentParser(prog='prefixd_mlx.convert')
    parser.add_argument('gguf', type=Path)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--dtype', choices=get_args(Dtype), default='stored')
    given = parser.parse_args()
    total = given.gguf.stat().st_size
    try:
        convert(given.gguf, given.folder, given.dtype, lambda done: say(done=done, total=total))
    except ConvertError as error:
        say(error=error.code, message=error.message, next=error.next_step)
        return 1
    # The header is done too.
    say(done=total, total=total)
    return 0


def convert(gguf: Path, folder: Path, dtype: Dtype, on_bytes: Progress) -> None:
    """Raises ConvertError, and the file system's errors."""
    file = read_gguf(gguf)
    shapes = {name: tensor.shape for name, tensor in file.tensors.items()}
    architecture = Architecture(file.metadata, shapes)
    tokenizer = GgufTokenizer(file.metadata)
    config = {**architecture.config(), **architecture.frequencies_config(_frequencies(file))}
    tokenizer.write(folder, config['max_position_embeddings'])
    quantization = write_weights(file, architecture, dtype, folder, on_bytes)
    if quantization is not None:
        config.update(quantization=quantization, quantization_config=quantization)
    ends = tokenizer.eos_tokens()
    config['bos_token_id'] = tokenizer.bos_token()
    config['eos_token_id'] = ends[0] if len(ends) == 1 else ends
    text = json.dumps(config, indent=2, sort_keys=True)
    (folder / 'config.json').write_text(f'{text}\n')


def _frequencies(file: GgufFile) -> Any:
    tensor = file.tensors.get(FREQUENCIES)
    return None if tensor is None else dense(tensor.data, tensor.shape, tensor.type)


def say(**what: object) -> None:
    print(json.dumps(what), flush=True)


if __name__ == '__main__':
    sys.exit(main())
