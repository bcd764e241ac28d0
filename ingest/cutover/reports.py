"""Reports of the cut-over as files: complete, or not there."""

import json
import os
from pathlib import Path
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone


def stamp() -> str:
    """Now, in UTC, for the name of a file or folder."""
    return f"{timezone.now():%Y%m%dT%H%M%S.%fZ}"


def write_report(folder: Path, name: str, document: dict[str, Any]) -> Path:
    """Write a document as JSON under a name of its own; the file."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}-{stamp()}.json"
    text = json.dumps(document, indent=2, ensure_ascii=False, cls=DjangoJSONEncoder)
    write_whole(target, text.encode(errors="surrogateescape") + b"\n")
    return target


def write_whole(target: Path, content: bytes) -> None:
    """Write a file that is there whole, on the disk, or not at all."""
    part = target.with_name(f".{target.name}.part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(target)
