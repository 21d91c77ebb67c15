"""Where cameras go: what must hold of every plan, and the cases that the rules were made for."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vms.common.ids import CameraId
from vms.gateway.placement import (
    DEFAULT_BITRATE,
    GRACE_S,
    Assignment,
    Capacity,
    Plan,
    Worker,
    move,
    place,
)


def cameras(count: int, prefix: str = "camera") -> list[CameraId]:
    return [CameraId(f"{prefix}-{number}") for number in range(count)]


def workers(count: int, node: str = "here") -> list[Worker]:
    return [Worker(f"media-{number}", node) for number in range(count)]


def by_worker(plan: Plan) -> Counter[str]:
    return Counter(assignment.worker for assignment in plan.changed.values())


NAMES = [f"media-{number}" for number in range(5)]
IDS = cameras(12)
bitrates = st.dictionaries(st.sampled_from(IDS), st.floats(0, 5e7))
some_workers = st.lists(
    st.builds(
        Worker,
        name=st.sampled_from(NAMES),
        node=st.sampled_from(["here", "there"]),
        gone_s=st.none() | st.floats(0, 30),
        cpu_share=st.floats(0, 2),
        measured=bitrates,
    ),
    unique_by=lambda worker: worker.name,
    max_size=5,
)
assignments = st.dictionaries(
    st.sampled_from(IDS),
    st.builds(
        Assignment,
        node=st.sampled_from(["here", "there"]),
        worker=st.sampled_from([*NAMES, "media-99"]),
        pinned=st.booleans(),
        standby=st.lists(st.sampled_from(NAMES), max_size=3).map(tuple),
    ),
)
capacities = st.dictionaries(
    st.sampled_from(["here", "there"]),
    st.builds(Capacity, st.none() | st.integers(0, 10**8), st.none() | st.integers(0, 12)),
)


@given(
    wanted=st.sets(st.sampled_from(IDS)),
    present=assignments,
    among=some_workers,
    measured=bitrates,
    limits=capacities,
    order=st.randoms(use_true_random=False),
)
def test_every_plan_keeps_the_rules(
    wanted: set[CameraId],
    present: dict[CameraId, Assignment],
    among: list[Worker],
    measured: dict[CameraId, float],
    limits: dict[str, Capacity],
    order: object,
) -> None:
    plan = place(wanted, present, among, bitrates=measured, capacities=limits)
    after = {**present, **plan.changed}
    by_name = {worker.name: worker for worker in among}
    well = {worker.name for worker in among if worker.gone_s is None}
    if not among:
        assert plan == Plan({}, ())
        return
    for camera_id in wanted:
        held, now = present.get(camera_id), after[camera_id]
        assert now.worker in by_name, "everything runs on a worker that exists"
        assert now.node == by_name[now.worker].node
        assert set(now.standby) == by_name.keys() - {now.worker}
        assert len(set(now.standby)) == len(now.standby)
        if held is None or held.worker not in by_name:
            if well:
                assert now.worker in well, "new cameras go where somebody answers"
            assert not now.pinned
            continue
        gone_s = by_name[held.worker].gone_s
        if held.pinned or gone_s is None or gone_s < GRACE_S or not well:
            assert (now.worker, now.pinned) == (held.worker, held.pinned), "moved without need"
        else:
            assert now.worker in well, "what is gone for long loses its cameras"
            assert any(text.startswith(f"{camera_id}: placed on") for text in plan.said)
    assert plan.changed.keys() <= wanted
    assert all(plan.changed[key] != present.get(key) for key in plan.changed), "only changes are told"
    again = place(wanted, after, among, bitrates=measured, capacities=limits)
    assert again.changed == {}, "a plan that was carried out is done"
    shuffled = list(among)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    assert place(sorted(wanted), present, shuffled, bitrates=measured, capacities=limits) == plan


@given(count=st.integers(0, 300), among=st.integers(1, 8))
def test_idle_workers_are_filled_evenly(count: int, among: int) -> None:
    shares = by_worker(place(cameras(count), {}, workers(among)))
    assert sum(shares.values()) == count
    assert max(shares.values(), default=0) - min(shares[f"media-{n}"] for n in range(among)) <= 1


def test_two_hundred_new_cameras_on_four_workers_are_fifty_each_whatever_an_idle_process_spends() -> None:
    idle = [replace(worker, cpu_share=0.01 * number) for number, worker in enumerate(workers(4))]
    assert set(by_worker(place(cameras(200), {}, idle)).values()) == {50}


def test_new_cameras_one_after_the_other_are_spread_as_well() -> None:
    present: dict[CameraId, Assignment] = {}
    for camera_id in cameras(40):
        present.update(place([*present, camera_id], present, workers(4)).changed)
    assert set(Counter(assignment.worker for assignment in present.values()).values()) == {10}


def busy(name: str, cpu_share: float, *measured: tuple[str, float], node: str = "here") -> Worker:
    return Worker(
        name, node, None, cpu_share, {CameraId(camera_id): bitrate for camera_id, bitrate in measured}
    )


@pytest.mark.parametrize(
    ("first", "second", "chosen"),
    [
        (busy("a", 0.5, ("x", 1e6)), busy("b", 0.4, ("y", 9e6)), "b"),  # CPU share first
        (busy("a", 0.5, ("x", 9e6)), busy("b", 0.5, ("y", 1e6)), "b"),  # then bit rate
        (
            busy("a", 0.5, ("x", 1e6)),
            busy("b", 0.5, ("y", 1e6)),
            "a",
        ),  # then the name, for nothing else differs
    ],
)
def test_a_new_camera_goes_where_least_is_measured(first: Worker, second: Worker, chosen: str) -> None:
    present = {
        CameraId(camera_id): Assignment("here", worker.name)
        for worker in (first, second)
        for camera_id in worker.measured
    }
    rates = {**first.measured, **second.measured}
    plan = place([*present, CameraId("new")], present, [first, second], bitrates=rates)
    assert plan.changed[CameraId("new")].worker == chosen


def test_cameras_that_are_placed_and_not_yet_measured_count_as_expected() -> None:
    present = {camera_id: Assignment("here", "a") for camera_id in cameras(100)}
    plan = place(
        [*present, CameraId("new")], present, [busy("a", 0.0), busy("b", 0.2, ("y", DEFAULT_BITRATE))]
    )
    assert plan.changed[CameraId("new")].worker == "b"


def test_a_worker_in_its_grace_time_keeps_its_cameras_and_loses_them_after_it() -> None:
    three = workers(3)
    present = place(cameras(30), {}, three).changed
    restarting = [replace(three[0], gone_s=GRACE_S - 0.1), *three[1:]]
    assert place(present, present, restarting).changed == {}
    gone = [replace(three[0], gone_s=GRACE_S), *three[1:]]
    plan = place(present, present, gone)
    assert by_worker(plan) == {"media-1": 5, "media-2": 5}
    assert "media-0 is gone for 10 s" in plan.said[0]


def test_when_nobody_answers_nobody_is_moved() -> None:
    two = workers(2)
    present = place(cameras(4), {}, two).changed
    gone = [replace(worker, gone_s=3600.0) for worker in two]
    assert place(present, present, gone) == Plan({}, ())
    assert len(place([*present, CameraId("new")], present, gone).changed) == 1, (
        "a new one has a place to wait at"
    )


def test_a_pinned_camera_waits_for_its_worker_and_is_freed_when_that_exists_no_more() -> None:
    two = workers(2)
    pinned = {CameraId("a"): Assignment("here", "media-0", pinned=True, standby=("media-1",))}
    assert place(pinned, pinned, [replace(two[0], gone_s=999.0), two[1]]) == Plan({}, ())
    plan = place(pinned, pinned, two[1:])
    assert plan.changed == {CameraId("a"): Assignment("here", "media-1")}
    assert plan.said == (
        "a: placed on media-1, for it was pinned to media-0, which exists no more; the pin is dropped",
    )


def test_heavy_cameras_of_a_dead_worker_are_shared_out() -> None:
    rates = {CameraId("heavy-1"): 4e7, CameraId("heavy-2"): 4e7} | dict.fromkeys(cameras(10), 1e6)
    three = workers(3)
    present = dict.fromkeys(rates, Assignment("here", "media-0"))
    plan = place(present, present, [replace(three[0], gone_s=60.0), *three[1:]], bitrates=rates)
    assert {plan.changed[CameraId(f"heavy-{n}")].worker for n in (1, 2)} == {"media-1", "media-2"}
    assert set(by_worker(plan).values()) == {6}


def test_a_full_node_is_passed_over_until_all_are_full_which_is_said() -> None:
    two = [Worker("a", "small"), Worker("b", "large")]
    limits = {"small": Capacity(cameras=2), "large": Capacity(bitrate=5 * DEFAULT_BITRATE)}
    plan = place(cameras(7), {}, two, capacities=limits)
    assert by_worker(plan) == {"a": 2, "b": 5}
    assert plan.said == ()
    plan = place(cameras(9), {}, two, capacities=limits)
    assert sum(by_worker(plan).values()) == 9
    assert len(plan.said) == 2
    assert "every node is at its capacity" in plan.said[0]


def test_standbys_are_on_other_nodes_first_and_spread() -> None:
    among = [*workers(2, "here"), Worker("far-0", "there"), Worker("far-1", "there")]
    present = {camera_id: Assignment("here", "media-0") for camera_id in cameras(10)}
    plan = place(present, present, among)
    for assignment in plan.changed.values():
        assert set(assignment.standby[:2]) == {"far-0", "far-1"}
        assert assignment.standby[2:] == ("media-1",)
    assert Counter(one.standby[0] for one in plan.changed.values()) == {"far-0": 5, "far-1": 5}


def test_a_standby_list_stands_while_it_is_complete_whatever_the_loads_become() -> None:
    three = workers(3)
    present = place(cameras(6), {}, three).changed
    loaded = [replace(worker, cpu_share=n, measured={IDS[n]: 1e6}) for n, worker in enumerate(three)]
    assert place(present, present, loaded).changed == {}


def test_pinning_names_a_worker_that_exists() -> None:
    held = {CameraId("a"): Assignment("here", "media-0")}
    assert move(CameraId("a"), "media-1", held, workers(2)) == Assignment("here", "media-1", pinned=True)
    assert move(CameraId("a"), "media-7", held, workers(2)) is None
    pinned = {CameraId("a"): Assignment("here", "media-1", pinned=True)}
    assert move(CameraId("a"), None, pinned, workers(2)) == Assignment("here", "media-1")
