"""What processes of their own do in tests: here, since a process must be able to import it by name."""

import os
import signal
import subprocess
import sys
import time


def says(channel, job):
    channel.send("said", b"\x00\x01", word=job)
    channel.send("more")


def sees_what_is_loaded(channel, job):
    channel.send("loaded", modules=[name for name in job if name in sys.modules])


def sleeps(channel, job):
    time.sleep(1000)


def stops_itself(channel, job):
    os.kill(os.getpid(), signal.SIGSTOP)


def kills_itself(channel, job):
    os.kill(os.getpid(), job)


def ends(channel, job):
    os._exit(job)


def raises(channel, job):
    raise ValueError("[/INST] \ud800")


def sends_nonsense(channel, job):
    channel._connection.send_bytes(job)
    time.sleep(1000)


def sends_a_pickle(channel, job):
    channel._connection.send(Trap())


class Trap:
    def __reduce__(self):
        return os._exit, (7,)


def leaves_processes(channel, job):
    subprocess.Popen(["sleep", "7391"])
    subprocess.Popen(["sleep", "7392"], start_new_session=True)
    subprocess.Popen(["sh", "-c", "setsid sleep 7393 & exit"]).wait()
    channel.send("done")
    time.sleep(1000)


def prints(channel, job):
    os.write(1, b"out\n")
    os.write(2, b"x" * 200_000 + b"end")
    channel.send("done")
    time.sleep(0.2)


def measures_a_block(channel, job):
    """In a process that has held nothing before: what others have freed would be taken again unseen."""
    import torch

    from benchmarks.measure.clock import Clock

    clock = Clock(torch.device("cpu"))
    with clock() as reading:
        parameter = torch.nn.Parameter(torch.zeros(1))
        optimizer = torch.optim.SGD([parameter], lr=0.1)
        for _ in range(3):
            parameter.grad = torch.ones(1)
            optimizer.step()
        time.sleep(0.05)
        torch.zeros(25_000_000).add_(1)
    channel.send("read", **vars(reading))
