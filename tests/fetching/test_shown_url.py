"""Passwords and keys in addresses are not printed, and not stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from prosam.errors import InputError
from prosam.fetching.remote_file import RemoteFile
from prosam.fetching.shown_url import shown_url, without_secrets
from prosam.fetching.source import RetryPolicy
from prosam.fetching.transfer import fetch

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.org/a.zip", "https://example.org/a.zip"),
        (f"https://me:{SECRET}@example.org:8443/a.zip", "https://...@example.org:8443/a.zip"),
        (f"https://{SECRET}@example.org/a.zip", "https://...@example.org/a.zip"),
        (f"https://b.s3.example.org/a.zip?X-Amz-Signature={SECRET}&x=1", "https://b.s3.example.org/a.zip?..."),
        (f"http://[::1/a?{SECRET}", "http://[::1/a"),
    ],
)
def test_an_address_is_shown_without_its_secrets(url: str, shown: str):
    assert shown_url(url) == shown


def test_a_librarys_message_loses_them_too():
    url = f"http://host/a?key={SECRET}"
    message = f"Failed to parse: http://me:{SECRET}@proxy:80 for {url}, url: /a?key={SECRET}"
    assert SECRET not in without_secrets(message, url)
    assert "proxy:80" in without_secrets(message, url)


@pytest.mark.parametrize("proxy", [None, f"http://me:{SECRET}@127.0.0.1:9", f"http://me:{SECRET}@[::1"])
def test_a_failing_fetch_prints_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], proxy: str | None
):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    if proxy:
        monkeypatch.setenv("http_proxy", proxy)
    url = f"http://you:{SECRET}@127.0.0.1:9/weights.bin?signature={SECRET}"
    with pytest.raises(InputError) as caught:
        fetch(RemoteFile("weights.bin", (url, url)), tmp_path, patience=RetryPolicy(1, 1, 2, 0, 0))
    printed = capsys.readouterr()
    told = str(caught.value) + printed.out + printed.err
    assert "127.0.0.1:9/weights.bin" in told
    assert SECRET not in told
    assert not any(SECRET in path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file())
