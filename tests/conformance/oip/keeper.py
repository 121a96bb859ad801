"""Runs a server for as long as anybody holds a lock on a file: `keeper.py LEASE STATE COMMAND…`.

Whoever needs the server holds a shared lock. When all have let go, or are gone, the server is stopped. So it is shared
by the processes of one test run, and outlives none of them, however they end.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time


def main(lease, state, *command):
    if os.fork():
        return  # whoever began it does not wait for it
    with open(lease) as file:
        process = subprocess.Popen(command, start_new_session=True)
        try:
            while process.poll() is None:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    time.sleep(0.2)
                else:
                    break
        finally:
            # Before the lock goes: who takes it next begins anew, and who waits for the server does so no longer.
            with contextlib.suppress(FileNotFoundError):
                os.unlink(state)
            stop(process)


def stop(process):
    try:
        process.terminate()
        process.wait(5)
    except (subprocess.TimeoutExpired, ProcessLookupError):
        pass
    try:
        os.killpg(process.pid, signal.SIGKILL)  # what it began, and itself where it does not listen
    except ProcessLookupError:
        pass
    process.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
