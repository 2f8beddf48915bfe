"""The tools for tests, ours and other people's."""

from __future__ import annotations

import pickle
import queue
import subprocess
import sys
import threading

import pytest

from lnmailbox import (
    FailureDetail,
    HTLCPacket,
    LinkError,
    MailBoxConfig,
    ManualClock,
    MemoryMailBox,
    testing,
)
from lnmailbox.testing import Call, Gate, Switch, blocked, contents, run_threads, wait_until_quiet
from lnmailbox.testing.conformance.base import CHANNEL, add, settle
from lnmailbox.testing.switch import raiser
from lnmailbox.wire import TemporaryNodeFailure


def test_a_call_returns_the_result_of_the_function():
    assert 3 == Call(lambda a, b: a + b, 1, b=2).result()


def test_a_call_raises_the_error_of_the_function():
    with pytest.raises(ZeroDivisionError):
        Call(lambda: 1 / 0).result()


def test_a_blocked_call_goes_on_when_its_item_comes():
    mail: queue.Queue[str] = queue.Queue()
    call = blocked(mail.get)

    assert not call.done

    mail.put("letter")

    assert "letter" == call.result()


def test_a_call_that_does_not_block_fails_the_test():
    with pytest.raises(AssertionError, match="should have blocked"):
        blocked(lambda: None)


def test_a_call_that_does_not_end_fails_the_test():
    gate = threading.Event()
    call = blocked(gate.wait)

    with pytest.raises(AssertionError, match="did not end"):
        call.result(timeout=0)

    gate.set()

    assert call.result()


def test_threads_run_together_and_answer_in_order():
    barrier = threading.Barrier(3)

    def meet(number: int) -> int:
        barrier.wait()
        return number

    assert [0, 1, 2] == run_threads(*(lambda n=n: meet(n) for n in range(3)))


def test_an_error_in_one_of_the_threads_is_raised():
    with pytest.raises(KeyError, match="lost"):
        run_threads(lambda: None, lambda: {}["lost"])


def test_a_gate_holds_a_callback_up():
    gate = Gate()
    call = blocked(gate.pass_through)
    gate.wait_until_reached()

    gate.open()

    assert call.result() is None


def test_a_raiser_raises_as_often_as_it_is_told():
    switch = Switch()
    switch.when["fetch_update"] = raiser(ValueError("busy"), times=2)

    for _ in range(2):
        with pytest.raises(ValueError, match="busy"):
            switch.fetch_update(CHANNEL)

    assert CHANNEL == switch.fetch_update(CHANNEL).short_channel_id
    assert [CHANNEL] * 3 == switch.updates_fetched


def test_a_switch_is_itself_after_pickling():
    """An Add can be written down with it as its obfuscator."""
    switch = Switch()

    assert switch is pickle.loads(pickle.dumps(add(1, obfuscator=switch))).obfuscator


@pytest.mark.parametrize("link_failure", [None, LinkError(TemporaryNodeFailure())])
def test_packets_are_compared_by_their_contents(link_failure):
    """`HTLCPacket` and `LinkError` are compared by identity."""
    packet = settle(1, link_failure=link_failure, amount=5)
    copy: HTLCPacket = pickle.loads(pickle.dumps(packet))

    assert packet != copy
    assert contents(packet) == contents(copy)

    copy.amount = 6
    assert contents(packet) != contents(copy)

    packet.amount = 6
    copy.link_failure = LinkError(TemporaryNodeFailure(), FailureDetail.OUTGOING_FAILURE_NONE)
    assert contents(packet) != contents(copy)


def a_mailbox(switch, clock):
    return MemoryMailBox(
        MailBoxConfig(
            short_chan_id=CHANNEL,
            fetch_update=switch.fetch_update,
            forward_packets=switch.forward_packets,
            clock=clock,
        )
    )


def test_the_effects_of_a_clocks_move_can_be_waited_for():
    """Every time: a look without the wait often comes too early."""
    switch, clock = Switch(), ManualClock()
    with a_mailbox(switch, clock) as box:
        for number in range(0, 200, 2):
            box.add_packets([add(number), add(number + 1)])
            clock.advance(60)
            wait_until_quiet(clock)

            assert [number, number + 1] == switch.fails_so_far()


def test_effects_that_do_not_end_fail_the_test():
    switch, clock, gate = Switch(), ManualClock(), Gate()
    switch.when["forward_packets"] = gate.pass_through
    with a_mailbox(switch, clock) as box:
        box.add_packet(add(1))
        clock.advance(60)
        gate.wait_until_reached()

        with pytest.raises(TimeoutError, match=r"^mail was still being carried after 0\.01 s$"):
            wait_until_quiet(clock, timeout=0.01)

        gate.open()
        wait_until_quiet(clock)


def test_there_is_nothing_else():
    assert all(hasattr(testing, name) for name in testing.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Conformance'"):
        testing.Conformance  # noqa: B018


@pytest.mark.parametrize("missing", ["pytest", "lnmailbox.testing.threads"])
def test_pytest_is_needed_for_the_conformance_suite_only(missing):
    """And the error says so; any other missing module is named as usual."""
    script = f"""
import sys
from lnmailbox.testing import Switch, blocked
assert "pytest" not in sys.modules
sys.modules["{missing}"] = None
from lnmailbox.testing import MailBoxConformance
"""
    finished = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )
    error = finished.stderr.splitlines()[-1]

    if missing == "pytest":
        text = "MailBoxConformance is made of pytest tests, and there is no pytest"
        assert f"ImportError: {text}" == error
    else:
        assert f"import of {missing} halted" in error


def test_a_thread_that_outlives_its_test_fails_it(pytester: pytest.Pytester, project):
    pytester.makeconftest((project / "tests" / "conftest.py").read_text())
    pytester.makepyfile(
        """
        import threading
        import conftest

        gate = threading.Event()
        conftest.PATIENCE = 0

        def test_that_leaves_a_thread():
            threading.Thread(target=gate.wait, name="forgotten courier").start()

        def test_that_leaves_none():
            gate.set()
        """
    )

    result = pytester.runpytest("-p", "no:cacheprovider")

    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*threads that outlived the test: forgotten courier*"])
