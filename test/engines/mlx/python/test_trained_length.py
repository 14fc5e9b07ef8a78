"""How long a context may be: as long as the model's texts were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mlx_families.folder import write_family
from prefixd_mlx.model import Model
from prefixd_mlx.settings import read_options
from prefixd_mlx.trained_length import trained_length

cases = json.loads((Path(__file__).parents[1] / 'trained-lengths.json').read_text())


@pytest.mark.parametrize('case', cases, ids=[case['of'] for case in cases])
def test_is_read_out_of_the_configuration(case: dict[str, Any]) -> None:
    assert trained_length(case['config']) == case['tokens']


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained for 8,192 tokens."""
    path = tmp_path_factory.mktemp('family')
    write_family('llama', 'float32', path)
    return path


def lengths(folder: Path, asked: int) -> tuple[int, int]:
    options = read_options({
        'modelPath': str(folder), 'contextTokens': asked, 'sequences': 1, 'threads': 1,
        'blockTokens': 32, 'reuse': 'token', 'engine': {},
    })  # fmt: skip
    info = Model(options, lambda fraction: None).info()
    return info['contextTokens'], info['trainedContextTokens']


def test_a_longer_context_than_that_is_cut_to_it(folder: Path) -> None:
    assert [lengths(folder, asked) for asked in (0, 100, 8192, 100_000)] == [
        (8192, 8192),
        (100, 8192),
        (8192, 8192),
        (8192, 8192),
    ]


def test_where_nothing_is_said_the_settings_decide(folder: Path, tmp_path: Path) -> None:
    config = json.loads((folder / 'config.json').read_text())
    del config['max_position_embeddings']
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / 'config.json').write_text(json.dumps(config))
    assert [lengths(tmp_path, asked) for asked in (0, 100_000)] == [(4096, 0), (100_000, 0)]
