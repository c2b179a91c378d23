"""A real SSH server on this machine that serves a folder by SFTP, in a process of its own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import asyncssh

USER, PASSWORD = "prosam", "for this test only"


class SftpServer:
    """Serves a folder as `ssh://prosam@127.0.0.1:PORT/`; stopped and started again, it keeps its port."""

    def __init__(self, folder: Path):
        self.folder, self.port = folder, 0
        folder.mkdir(parents=True, exist_ok=True)
        self._process: subprocess.Popen[str] | None = None
        self.start()

    def start(self) -> None:
        """Serve; returns once connections are taken."""
        command = [sys.executable, __file__, str(self.folder), str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def stop(self) -> None:
        """End at once, connections included."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


class _Login(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, PASSWORD)


async def _serve(folder: str, port: int) -> None:
    server = await asyncssh.listen(
        "127.0.0.1",
        port,
        server_factory=_Login,
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=folder.encode()),
        reuse_address=True,
    )
    print(server.get_port(), flush=True)
    await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2])))
