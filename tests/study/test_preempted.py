"""Jobs that SLURM takes away: what the plugin is told, from what SLURM 22.05 itself printed; and what is told of it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import snakemake_executor_plugin_slurm as plugin

from layerwise.study import end_waiting, preemption
from layerwise.study.preempted import MOST, OTHER_ENDS, settle

SHOWN = "JobId=1 JobName=layerwise_a UserId=ana(7) JobState={} Reason=None Requeue={} Restarts={} BatchFlag=1"
CONFIG = """Configuration data as of 2026-11-28T15:34:30
JobRequeue              = {}
MinJobAge               = 600 sec
PreemptMode             = REQUEUE
PreemptType             = {}
"""
PARTITION = "PartitionName={} AllowGroups=ALL OverTimeLimit=NONE PreemptMode={} State=UP\n"


class Cluster:
    """Answers as SLURM does; a job that may be requeued is pending afterwards."""

    def __init__(self, state="PREEMPTED", requeue=1, restarts=0, obeys=True, answers=True, knows=True):
        self.state, self.requeue, self.restarts, self.obeys = state, requeue, restarts, obeys
        self.answers, self.knows, self.asked = answers, knows, []

    def __call__(self, command):
        self.asked.append(command[1])
        if command[0] == "sinfo":
            return "cpu up\n" if self.answers else ""
        if command[1] == "requeue":
            self.state = "PENDING" if self.obeys else self.state
            return ""
        known = self.answers and self.knows
        return SHOWN.format(self.state, self.requeue, self.restarts) if known else ""


@pytest.mark.parametrize(
    ("cluster", "state", "told"),
    [
        (Cluster(), "PENDING", "was asked to start it again, and will"),
        (Cluster(requeue=0), "CANCELLED", "counts as cancelled"),
        (Cluster(restarts=MOST), "CANCELLED", "counts as cancelled"),
        (Cluster(obeys=False), "CANCELLED", "counts as cancelled"),
        (Cluster(knows=False), "CANCELLED", "counts as cancelled"),  # it was too long ago
        (Cluster(state="PENDING"), "PENDING", None),  # as accounting may tell it late
        (Cluster(state="RUNNING"), "PENDING", None),
        (Cluster(state="COMPLETING"), "PENDING", None),
        (Cluster(state="REQUEUE_HOLD"), "PENDING", None),
        (Cluster(state="COMPLETED"), "COMPLETED", None),  # it was started again and has ended since
        (Cluster(state="CANCELLED"), "CANCELLED", None),  # by scancel, after it was started again
        (Cluster(state="TIMEOUT"), "TIMEOUT", None),
        (Cluster(answers=False), "PREEMPTED", None),
    ],
)
def test_a_job_that_was_taken_away_is_started_again_or_counts_as_cancelled(cluster, state, told):
    warned = []
    assert settle({"1": "PREEMPTED", "2": "RUNNING"}, cluster, warned.append) == {"1": state, "2": "RUNNING"}
    assert len(warned) == (told is not None) and all(told in text for text in warned)
    may = cluster.requeue == 1 and cluster.restarts < MOST
    assert ("requeue" in cluster.asked) == (may and cluster.knows and told is not None)


@pytest.mark.parametrize("state", ["CANCELLED", "COMPLETED"])
def test_a_job_that_ends_while_it_is_being_started_again_has_ended(state):
    class Late(Cluster):
        def __call__(self, command):
            told = super().__call__(command)
            self.state = state if command[1] == "requeue" else self.state
            return told

    warned = []
    assert settle({"1": "PREEMPTED"}, Late(), warned.append) == {"1": state} and warned == []


def test_the_plugin_knows_every_end_of_a_job_that_it_may_be_told_of():
    constants = plugin.Executor.check_active_jobs.__code__.co_consts
    (failures,) = [one for one in constants if isinstance(one, tuple) and "NODE_FAIL" in one]
    assert OTHER_ENDS - {"COMPLETED"} == set(failures) - {"ERROR"}  # which SLURM does not print


def test_states_that_need_nothing_are_not_asked_about():
    cluster = Cluster()
    states = {"1": "COMPLETED", "2": "CANCELLED by 1000", "3": "NODE_FAIL", "4": "PENDING"}
    assert settle(states, cluster) == states | {"2": "CANCELLED"}
    assert cluster.asked == []


def test_the_plugin_has_the_function_that_is_replaced_and_uses_it_by_that_name(monkeypatch):
    async def query(command, logger):
        return ({"1": "PREEMPTED"}, 0.5) if command == "squeue" else (None, None)

    monkeypatch.setattr(plugin, "query_job_status", query)  # fails if the plugin has none
    end_waiting(plugin, Cluster(requeue=0), lambda _: None)
    method = plugin.Executor.check_active_jobs
    assert "query_job_status" in method.__code__.co_names and method.__globals__ is vars(plugin)
    with ThreadPoolExecutor(1) as apart:  # another test of this process may have left a loop of asyncio running
        found = [
            apart.submit(asyncio.run, plugin.query_job_status(name, None)).result() for name in ("squeue", "fails")
        ]
    assert found == [({"1": "CANCELLED"}, 0.5), (None, None)]


def test_another_plugin_is_left_as_it_is():
    warned = []
    end_waiting(SimpleNamespace(), Cluster(), warned.append)
    assert "a job that is preempted for good is waited for" in warned[0]


@pytest.mark.parametrize(
    ("requeue", "default", "kind", "expected"),
    [
        (True, 0, "partition_prio", "SLURM cancels jobs of gpu that it takes away for others (PreemptMode=CANCEL)"),
        (None, 1, "qos", "SLURM cancels jobs of gpu that it takes away"),
        (None, 0, "partition_prio", "they are not submitted with --requeue: each costs one of the retries"),
        (False, 1, "partition_prio", "they are not submitted with --requeue"),
        (False, 0, "none", ""),
    ],
)
def test_what_will_become_of_jobs_that_are_taken_away_is_told_when_a_run_starts(requeue, default, kind, expected):
    def ask(command):
        if command[2] == "config":
            return CONFIG.format(default, f"preempt/{kind}")
        return PARTITION.format(command[-1], "CANCEL" if command[-1] == "gpu" else "REQUEUE")

    told = preemption(["gpu", "cpu"], requeue, ask)
    assert expected in told and bool(told) == bool(expected)
    assert preemption(["cpu"], True, ask) == ""
    assert preemption(["cpu"], True, lambda _: "") == ""
