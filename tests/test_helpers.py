"""The tools that the other tests rely on."""

from __future__ import annotations

import queue
import threading

import pytest

from lnmailbox.testing.threads import Call, blocked, run_threads


def test_a_call_returns_what_the_function_returned():
    assert 3 == Call(lambda a, b: a + b, 1, b=2).result()


def test_a_call_raises_what_the_function_raised():
    with pytest.raises(ZeroDivisionError):
        Call(lambda: 1 / 0).result()


def test_a_blocked_call_goes_on_when_what_it_waits_for_comes():
    mail: queue.Queue[str] = queue.Queue()
    call = blocked(mail.get)

    assert not call.done

    mail.put("letter")

    assert "letter" == call.result()


def test_a_call_that_does_not_block_is_told_so():
    with pytest.raises(AssertionError, match="should have blocked"):
        blocked(lambda: None)


def test_a_call_that_does_not_end_is_reported():
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
