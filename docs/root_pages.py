"""A hook of mkdocs: README, CONTRIBUTING and CHANGELOG, which GitHub shows from the top folder, are pages of the site.

Their links are written as GitHub needs them. On the site `docs/` is the root, so a link loses that prefix; a link to
another of the three becomes a link to its page.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
_LINK = re.compile(r"(\]\()([^)#\s]+)")


def on_files(files: Files, config: Any) -> Files:
    """Add the three pages."""
    root = Path(config.config_file_path).parent
    for name, page in PAGES.items():
        text = _LINK.sub(_as_on_the_site, (root / name).read_text(encoding="utf-8"))
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Let pages of docs/ link to the three as GitHub has them, as in ../CONTRIBUTING.md."""
    return _LINK.sub(_as_on_the_site, markdown)


def _as_on_the_site(link: re.Match[str]) -> str:
    target = link[2].removeprefix("../").removeprefix("docs/")
    return link[1] + PAGES.get(target, target)
