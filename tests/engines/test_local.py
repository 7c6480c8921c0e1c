"""The pool of processes: order, failures, deaths, orphans, interruption."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cloudpickle
import pytest

from whichloss.engines import Failure, Local

PAUSE = 0.02
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def double(item, tell):
    tell("half way")
    return 2 * item


def sleepy(item, tell):
    time.sleep(item)
    return item


def picky(item, tell):
    if item == 1:
        raise ValueError("one is not enough")
    return item


def refuse(item, tell):
    from whichloss.errors import StudyError

    raise StudyError("the disk is full")


def where(item, tell):
    import torch

    return os.getpid(), torch.get_num_threads(), sys.path[0]


def die_once(item, tell):
    mark = Path(item)
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def die_always(item, tell):
    with open(item, "a") as file:
        file.write("x")
    os.kill(os.getpid(), signal.SIGKILL)


def leave(item, tell):
    os._exit(7)


def half_a_message(item, tell):
    # the head of a message of 1,000 bytes, and then nothing
    os.write(int(sys.argv[1]), (1000).to_bytes(4, "big") + b"x")
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def pool():
    with Local(2) as pool:
        list(pool.map(sleepy, [0.0, 0.0]))
        yield pool


def test_every_item_is_done_once_in_any_order(pool):
    heard = []
    found = list(pool.map(double, range(7), lambda item, message: heard.append((item, message))))
    assert sorted(o.item for o in found) == list(range(7))
    assert all(o.result == 2 * o.item for o in found)
    assert sorted(heard) == [(i, "half way") for i in range(7)]


def test_results_come_as_they_finish(pool):
    assert [o.item for o in pool.map(sleepy, [0.6, 0.0])] == [0.0, 0.6]


def test_an_exception_is_a_failure_with_its_reason_and_the_worker_lives(pool):
    before = pool.pids
    found = {o.item: o.result for o in pool.map(picky, range(4))}
    assert found[1] == Failure("ValueError: one is not enough", "ValueError")
    assert [found[i] for i in (0, 2, 3)] == [0, 2, 3]
    assert pool.pids == before


def test_our_own_errors_keep_their_words(pool):
    assert next(pool.map(refuse, [0])).result == Failure("the disk is full", "StudyError")


def test_one_thread_per_worker_and_no_module_of_the_folder(pool):
    found = [o.result for o in pool.map(where, range(8))]
    assert {pid for pid, _, _ in found} <= set(pool.pids)
    assert {threads for _, threads, _ in found} == {1}
    assert all(first != os.getcwd() for _, _, first in found)


def test_a_killed_worker_is_replaced_and_its_item_done_again(pool, tmp_path):
    before = pool.pids
    found = list(pool.map(die_once, [str(tmp_path / "mark"), str(tmp_path)]))
    assert len(found) == 2 and all(isinstance(o.result, int) for o in found)
    list(pool.map(sleepy, [0.1, 0.1]))  # replaced when there is work for two
    assert pool.pids != before and len(pool.pids) == 2


def test_an_item_that_kills_twice_is_a_failure_with_the_reason(tmp_path):
    tried = tmp_path / "tried"
    with Local(1) as pool:
        (found,) = pool.map(die_always, [str(tried)])
    assert tried.read_text() == "xx"
    assert found.result.kind == "death"
    assert found.result.reason == "its worker was killed by SIGKILL (out of memory?), 2 times"


def test_exit_codes_and_broken_messages_are_deaths_too():
    with Local(1) as pool:
        assert next(pool.map(leave, [0])).result.reason == "its worker ended with exit code 7, 2 times"
        assert "SIGKILL" in next(pool.map(half_a_message, [0])).result.reason


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def gone(pids, seconds=5.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end and any(map(alive, pids)):
        time.sleep(PAUSE)
    return not any(map(alive, pids))


PARENT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background ignore it
sys.path.insert(0, {folder!r})
import test_local
from whichloss.engines import Local
with Local(2) as pool:
    for _ in pool.map(test_local.double, [1, 2, 3]): pass
    print(*pool.pids, flush=True)
    for _ in pool.map(test_local.sleepy, [60.0, 60.0]): pass
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_parent(how):
    text = PARENT.format(folder=str(Path(__file__).parent))
    parent = subprocess.Popen(
        [sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    with parent:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert pids and all(map(alive, pids))
        time.sleep(0.3)
        parent.send_signal(how)
        assert parent.wait(60) != 0
        assert gone(pids)
