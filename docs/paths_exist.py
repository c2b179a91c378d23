"""A hook of mkdocs: every file of code that a page names must exist, so that moved code cannot leave a page wrong."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

_NAMED = re.compile(r"`((?:prosam|tasks|flows|tests|bench)/[\w./-]*(?:/|\.\w+))`")
_log = logging.getLogger("mkdocs.hooks.paths_exist")


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Warn of each that does not exist; `mkdocs build --strict` fails then."""
    root = Path(config.config_file_path).parent
    for named in _NAMED.findall(markdown):
        if not (root / named).exists():
            _log.warning("%s names %s, which does not exist", page.file.src_uri, named)
    return markdown
