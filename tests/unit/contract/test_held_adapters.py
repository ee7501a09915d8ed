"""What people made of an instance's adapters, one change after the other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.contract.held_adapters import MOST_HELD, AdapterChange, AdapterChanges, HeldAdapter

JOB = {"a", "b"}
NAMES = st.sampled_from(["a", "b", "c", "d"])
WISHES = st.lists(st.tuples(NAMES, st.one_of(st.none(), st.text(min_size=1, max_size=5))), max_size=30)


@given(WISHES)
def test_that_the_next_worker_has_what_the_last_had(wishes):
    there, told = dict.fromkeys(JOB, "of the job"), AdapterChanges()
    for name, path in wishes:
        if path is None:
            there.pop(name, None)
        else:
            there[name] = path
        held = None if path is None else HeldAdapter(name=name, path=path)
        told = told.after(AdapterChange(name=name, loaded=held, of_job=name in JOB))
    again = {name: "of the job" for name in JOB if name not in told.dropped}
    again |= {one.name: one.path for one in told.loaded}
    assert again == there
    assert set(told.dropped) <= JOB


def test_that_one_of_the_job_is_as_it_was_once_it_is_back():
    told = AdapterChanges().after(AdapterChange(name="a", of_job=True)).after(AdapterChange(name="a"))
    assert told == AdapterChanges()


def test_that_of_too_many_the_oldest_are_forgotten():
    every = [HeldAdapter(name=f"a{number}", path="/p") for number in range(MOST_HELD + 1)]
    told = AdapterChanges(loaded=every[:-1]).after(AdapterChange(name=every[-1].name, loaded=every[-1]))
    assert told.loaded == every[1:]
