from __future__ import annotations

import shlex
from pathlib import Path

from llm_twin.cli.story import chat_in


def test_the_command_of_the_last_line_can_be_typed_whatever_the_folder_s_name() -> None:
    assert shlex.split(chat_in(Path("my demo's")))[1:] == ["chat", "--workspace", "my demo's"]
    assert chat_in(Path("llm-twin-demo")).endswith(" chat --workspace llm-twin-demo")
