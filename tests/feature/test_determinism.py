"""One library and one configuration give one version, to the byte, in any process.

With the real embedder. The first process builds with one thread a version, changes a post and builds again;
the second, with another hash seed and four threads, builds both from nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import json, sys
from pathlib import Path
from llm_twin import compose
from llm_twin.contracts.manifests import file_hash
from llm_twin.contracts.ports import Silent
from llm_twin.contracts.records import Post
from llm_twin.feature import run
from llm_twin.feature.store import latest
from llm_twin.sample import posts as entries

def changed(post):
    text = post.markdown + "\\n\\nI changed my mind about all this, and I don't know why it took so long."
    return post.model_copy(update={"markdown": text, "revision": Post.revision_of(post.title, text)})

found = []
for entry in entries()[:POSTS]:
    url = f"https://blog.example{entry.path}"
    found.append(Post(
        id=Post.id_of(url), url=url, title=entry.title, published_at=entry.date.isoformat(),
        markdown=entry.markdown, revision=Post.revision_of(entry.title, entry.markdown),
    ))
later = [changed(found[0]), *found[1:]]
folder, fresh = Path(sys.argv[1]), sys.argv[2] == "fresh"
built = []
for number, posts in enumerate((found, later[::-1] if fresh else later)):
    root = folder / str(number if fresh else 0)
    space = compose.open_workspace(root if root.exists() else compose.init(root).root)
    embedder, store = compose.embedder(space), compose.vector_store(space)
    report = run(posts, space.config, embedder, store, space.workspace, Silent())
    made = space.workspace.features / report.version
    built.append({
        "content_id": latest(made.parent).content_id,
        "statistics": latest(made.parent).statistics,
        "files": {p.name: file_hash(p) for p in sorted(made.iterdir()) if p.name != "manifest.json"},
    })
    if number and not fresh:
        assert report.version == "F0002"
        own = sum(line.startswith('{"id":"' + later[0].id) for line in (made / "chunks.jsonl").open())
        assert 0 < report.embedded <= own, (report, own)
        assert report.reused == report.chunks - report.embedded
print(json.dumps(built))
"""
POSTS = 6


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory, root: Path) -> list[list[dict[str, object]]]:
    """By process, what it says of the two versions."""
    processes = []
    for how, seed, threads in (("incremental", "1", "1"), ("fresh", "2", "4")):
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, threads), "PYTHONHASHSEED": seed}
        command = [
            sys.executable,
            "-c",
            SCRIPT.replace("POSTS", str(POSTS)),
            str(tmp_path_factory.mktemp(how)),
            how,
        ]
        pipe = subprocess.PIPE
        processes.append(
            subprocess.Popen(command, cwd=root, env=environment, stdout=pipe, stderr=pipe, text=True)
        )
    ended = [process.communicate(timeout=240) for process in processes]
    assert [p.returncode for p in processes] == [0, 0], ended
    return [json.loads(out.splitlines()[-1]) for out, _ in ended]


def test_another_process_with_other_threads_and_seed_makes_the_same_bytes(
    builds: list[list[dict[str, object]]],
) -> None:
    assert builds[0][0] == builds[1][0]
    files = builds[0][0]["files"]
    assert isinstance(files, dict)
    assert sorted(files) == ["chunks.jsonl", "embeddings.safetensors", "posts.jsonl", "samples.jsonl"]


def test_a_build_on_top_of_another_equals_one_from_nothing(builds: list[list[dict[str, object]]]) -> None:
    assert builds[0][1] == builds[1][1]
    assert builds[0][1]["content_id"] != builds[0][0]["content_id"]
