"""Addresses as they may be printed or stored: without passwords, and without the values of a query.

An address may hold a password (`https://me:secret@host/`), and a presigned one holds its key in the query. What is
printed ends up in logs that others read.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

_CREDENTIALS = re.compile(r"//[^/@\s]*@")
_HIDDEN = "..."


def shown_url(url: str) -> str:
    """An address without its secrets; an address without secrets stays as it is."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return _CREDENTIALS.sub(f"//{_HIDDEN}@", url.partition("?")[0])
    query = _HIDDEN if parts.query else ""
    return _CREDENTIALS.sub(f"//{_HIDDEN}@", urlunsplit(parts._replace(query=query)))


def without_secrets(text: str, url: str) -> str:
    """A library's message about an address, perhaps also about a proxy, without their secrets."""
    query = urlsplit(url).query
    text = text.replace(url, shown_url(url))
    return _CREDENTIALS.sub(f"//{_HIDDEN}@", text.replace(query, _HIDDEN) if query else text)
