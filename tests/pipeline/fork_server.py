"""`python -m ...` without the seconds that importing torch takes: a server that has it imported forks for each command.

The server imports installed packages only; prosam, tasks and flows come from the folder in which a command runs, as
with a Python of its own. Exit status, signals, standard streams, environment and current folder are the command's own.
Only Linux has what this needs; elsewhere, and for all commands but `-m dvc`, `-m tasks.*` and `-m flows.*`, the
`python` that `wrapper` writes is the real one.

    python -> client (this file, `ask`) -> server (this file, `serve`), which forks -> the command
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import selectors
import signal
import socket
import struct
import sys

PRELOADED = (
    "matplotlib.figure", "numpy", "pandas", "PIL.Image", "pyarrow.parquet", "pycocotools.mask", "pydantic",
    "ruamel.yaml", "safetensors.torch", "scipy.stats", "torch", "torch._dynamo", "tqdm", "typer",
    "dvc.cli", "dvc.cli.parser", "dvc.commands.repro", "dvc.output", "dvc.repo", "dvc.repo.reproduce", "dvc.stage.run",
)  # fmt: skip
OF_CLONES = ("prosam", "tasks", "flows", "tests")

_WRAPPER = """#!/bin/sh
# Hands stages and DVC to the fork server of the tests; all else is for the real interpreter.
case "$1 $2" in
"-m dvc"|"-m tasks."*|"-m flows."*) exec "{python}" -I -S "{client}" ask "{socket}" "$0" "$@" ;;
esac
exec "{python}" "$@"
"""


def wrapper(python: str, address: str) -> str:
    """The text of an executable `python` that asks the server at a Unix socket."""
    return _WRAPPER.format(python=python, client=os.path.abspath(__file__), socket=address)  # noqa: PTH100


def ask(address: str, executable: str, arguments: list[str]) -> int:
    """Have the server run `python -m MODULE ...` here; signals are passed on, and the end of this process is its end.

    Returns:
        The exit status, or minus the signal that ended the command.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(address)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, frame: connection.send(bytes([number])))
        command = [executable, arguments[1:], os.getcwd(), dict(os.environ)]  # noqa: PTH109
        content = json.dumps(command).encode()
        socket.send_fds(connection, [struct.pack("!q", len(content))], [0, 1, 2])
        connection.sendall(content)
        answer = connection.recv(4, socket.MSG_WAITALL)
    if len(answer) < 4:
        sys.exit("error: the fork server of the tests has ended")
    return struct.unpack("!i", answer)[0]


def serve(address: str) -> tuple[str, list[str]]:
    """Fork for each command that comes, until stdin is closed.

    Returns:
        In each fork: the executable that was asked, and the command's words after `-m`. The server never returns.
    """
    running: dict[socket.socket, tuple[int, int]] = {}  # process id and its file descriptor
    with selectors.DefaultSelector() as selector, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(address)
        listening.listen(64)
        selector.register(listening, selectors.EVENT_READ, "asked")
        selector.register(0, selectors.EVENT_READ, "ended")
        print("ready", flush=True)
        while True:
            for key, _ in selector.select():
                if key.data == "ended":
                    for process, _ in running.values():
                        _kill(process)
                    os._exit(0)
                if key.data == "asked":
                    connection = listening.accept()[0]
                    command, streams = _received(connection)
                    process = os.fork()
                    if process == 0:
                        for other, (_, watched) in running.items():
                            other.close()
                            os.close(watched)
                        connection.close()
                        return _become(command, streams)
                    for stream in streams:
                        os.close(stream)
                    running[connection] = process, os.pidfd_open(process)
                    selector.register(connection, selectors.EVENT_READ, "told")
                    selector.register(running[connection][1], selectors.EVENT_READ, connection)
                elif key.data == "told" and isinstance(key.fileobj, socket.socket) and key.fileobj in running:
                    _pass_on(key.fileobj, running[key.fileobj][0], selector)
                elif isinstance(key.data, socket.socket):
                    process, watched = running.pop(key.data)
                    _tell(key.data, os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
                    selector.unregister(watched)
                    os.close(watched)
                    with contextlib.suppress(KeyError):
                        selector.unregister(key.data)
                    key.data.close()


def _received(connection: socket.socket) -> tuple[list, list[int]]:
    size, streams, _, _ = socket.recv_fds(connection, 8, 3)
    content = connection.recv(struct.unpack("!q", size)[0], socket.MSG_WAITALL)
    return json.loads(content), list(streams)


def _become(command: list, streams: list[int]) -> tuple[str, list[str]]:
    """What a new interpreter would start with."""
    executable, words, folder, environment = command
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    return executable, words


def _pass_on(connection: socket.socket, process: int, selector: selectors.BaseSelector) -> None:
    """Signals to the command; without the process that asked for it, the command is killed."""
    try:
        numbers = connection.recv(16)
    except ConnectionError:
        numbers = b""
    if not numbers:
        _kill(process)
        selector.unregister(connection)
    for number in numbers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)


def _tell(connection: socket.socket, code: int) -> None:
    with contextlib.suppress(OSError):  # whoever asked was killed
        connection.sendall(struct.pack("!i", code))


def main() -> None:
    """`fork_server.py serve SOCKET`, or `fork_server.py ask SOCKET EXECUTABLE -m MODULE WORDS...`."""
    if sys.argv[1] == "ask":
        code = ask(sys.argv[2], sys.argv[3], sys.argv[4:])
        if code < 0:
            with contextlib.suppress(OSError):  # SIGKILL has no handler
                signal.signal(-code, signal.SIG_DFL)
            os.kill(os.getpid(), -code)
        sys.exit(code)

    import atexit
    import gc
    import runpy
    import threading
    import traceback

    sys.path.pop(0)  # of this file
    for name in PRELOADED:
        importlib.import_module(name)
    loaded = {name.partition(".")[0] for name in sys.modules} & {*OF_CLONES}
    assert not loaded, f"these belong to the clones: {loaded}"
    assert len(os.listdir("/proc/self/task")) == 1, "threads do not survive a fork"  # noqa: PTH208
    gc.freeze()
    sys.executable, words = serve(sys.argv[2])
    sys.path.insert(0, os.getcwd())  # noqa: PTH109
    sys.argv[:] = words
    code = 1
    try:
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as ended:
        code = _status(ended.code)
    except BaseException:
        traceback.print_exc()
    # As the interpreter's own end, but for half a second in which that frees what is imported.
    threading._shutdown()  # pyright: ignore[reportAttributeAccessIssue]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _status(said: object) -> int:
    """The exit status that SystemExit stands for."""
    if said is None:
        return 0
    if isinstance(said, int):
        return said & 0xFF
    print(said, file=sys.stderr)
    return 1


if __name__ == "__main__":
    main()
