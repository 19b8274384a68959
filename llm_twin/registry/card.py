"""The model card of a version, in the Hub's format: YAML metadata, then what a reader must know."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from llm_twin.contracts.manifests import ModelManifest

# The packaged base as the Hub names it, whose model tree joins a version to its base by this.
_ON_HUB = {"SmolLM2-135M-Instruct": "HuggingFaceTB/SmolLM2-135M-Instruct"}
_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")  # of the Hub; a folder of this machine is written "./models/qwen"


def model_card(manifest: ModelManifest, merged: bool = False) -> str:
    """README.md of an adapter folder, or of base and adapter `merged` into one model.

    `manifest` need not be named or sealed yet.
    """
    base = manifest.base.name
    on_hub = _ON_HUB.get(base)
    known = on_hub or (base if _ID.fullmatch(base) else None)
    relation = {"base_model": known, "base_model_relation": "finetune" if merged else "adapter"}
    metadata = (relation if known else {}) | {
        "library_name": "transformers" if merged else "peft",
        "pipeline_tag": "text-generation",
        "tags": ["llm-twin"] if merged else ["lora", "llm-twin"],
    }
    scores = [
        f"| {split} | {name} | {score['value']:.3f} | {score['low']:.3f} to {score['high']:.3f} |"
        for split, by_name in manifest.scores.items()
        for name, score in by_name.items()
    ]
    preferred = (
        [f"Then the author's paragraphs were preferred to {manifest.preferred} of its own drafts (DPO)."]
        if manifest.preferred
        else []
    )
    lines = [
        "---",
        yaml.safe_dump(metadata, sort_keys=True).strip(),
        "---",
        f"# A {'model' if merged else 'LoRA adapter'} that writes like {manifest.prompt.author}",
        "",
        f"Base: {base if known else Path(base).name}, sha256 {manifest.base.id}"
        f"{f' (a GGUF of {on_hub} in 4 bits, dequantised)' if on_hub else ''}.",
        f"Trained on {len(manifest.posts)} posts of feature version {manifest.features.name} "
        f"(content id {manifest.features.id}), {manifest.tokens} tokens.",
        *preferred,
        "",
        "Bits per byte (lower is better) of posts held out by time, with 95 % intervals over posts:",
        "",
        "| split | model | bits per byte | interval |",
        "| --- | --- | --- | --- |",
        *scores,
        "",
        "It imitates one person's style. What it writes are not that person's words.",
    ]
    return "\n".join(lines) + "\n"
