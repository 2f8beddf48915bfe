"""The table of mutations is of the code as it is. `python tests/mutants.py` runs them."""

from __future__ import annotations

import pytest

from mutants import Mutant, fate
from mutations import MUTANTS


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.title)
def test_a_mutation_is_of_the_code_as_it_is(project, mutant):
    """Its text is in one place, and what comes instead is Python. So are its tests there."""
    assert mutant.source()
    assert mutant.old != mutant.new
    for name in mutant.tests.split():
        assert (project / "tests" / f"test_{name}.py").is_file()


def test_there_are_enough_of_them_and_each_has_a_name():
    assert len(MUTANTS) >= 60
    assert len({mutant.title for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("old", ["no such text", "self"])
def test_a_stale_row_is_told(old):
    with pytest.raises(ValueError, match="^stale: "):
        Mutant("stale", "life.py", old, "", "life").source()


@pytest.mark.parametrize("new, killed", [("{self.stopped}", True), ("{state}", False)])
def test_a_mutant_is_killed_by_the_first_test_that_fails(new, killed):
    found, by = fate(Mutant("a state", "life.py", "{state}", new, "life"))

    assert killed is found
    assert killed is by.startswith("test_life.py::")
