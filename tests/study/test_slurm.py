"""What jobs ask of a cluster, held against what SLURM 22.05 itself printed; and runs that it would not take."""

from pathlib import Path

import pytest

from layerwise.config import validate_cluster, validate_study
from layerwise.study import ClusterRequests, Plans, RuleResources, require_cluster
from layerwise.study.resources import Needs
from layerwise.study.slurm import earlier_runs, own_disk, read_accounts, read_offers

# Printed by SLURM 22.05.8 with three partitions, of which two share nodes.
SINFO = """cpu|cpu*|1-00:00:00|(null)
gpu|gpu|30:00|gpu:a100:4
gpu|gpu|30:00|gpu:h100:2(S:0-1)
old|old|infinite|gpu:2
"""
ACCOUNTS = "research\nroot\nresearch\n"
NAMES = {"model": "resnet18", "stimuli": "none", "ratings": "none", "block": "001-052"}


def answers(command):
    return {"sinfo": SINFO, "sacctmgr": ACCOUNTS, "squeue": "", "stat": "nfs\n"}[command[0]]


def requests(gpus=0, **cluster):
    images = {"name": "none", "images": "none", "scores": "none.csv"}
    study = validate_study({"study": "s", "models": ["resnet18"], "ratings": [images], "compute": {"gpus": gpus}})
    cluster = {"account": "research", "cpu": {"partition": "cpu"}, "gpu": {"partition": "gpu"}} | cluster
    return ClusterRequests(validate_cluster(cluster), RuleResources(Plans(study)))


def asked(of, rule="extract_activations", attempt=1):
    return {quantity: of.ask(quantity, rule, NAMES, attempt) for quantity in of.quantities}


def test_what_sinfo_prints_is_read():
    offers = read_offers(answers)
    assert {name: offer.minutes for name, offer in offers.items()} == {"cpu": 1440, "gpu": 30, "old": float("inf")}
    assert [offers[name].gpus for name in ("cpu", "gpu", "old")] == [set(), {"a100", "h100"}, {""}]
    assert [name for name, offer in offers.items() if offer.default] == ["cpu"]
    assert read_accounts(answers) == ["research", "root"]


@pytest.mark.parametrize(
    ("limit", "minutes"),
    [("10:00", 10), ("2:30:00", 150), ("1-12:00:00", 2160), ("infinite", float("inf"))],
)
def test_limits_of_time_are_read_as_slurm_prints_them(limit, minutes):
    (offer,) = read_offers(lambda _: f"p|p|{limit}|(null)\n").values()
    assert offer.minutes == minutes


def test_jobs_with_and_without_a_gpu_go_to_their_partitions():
    of = requests(gpus=2, gpu={"partition": "gpu", "type": "a100", "constraint": "nvlink|big"})
    with_gpu, without = asked(of), asked(of, "gather_model")
    assert with_gpu["slurm_partition"] == "gpu" and without["slurm_partition"] == "cpu"
    assert (with_gpu["gpu"], with_gpu["gpu_model"]) == (2, "a100")
    assert (without["gpu"], without["gpu_model"], without["gres"]) == (0, "", "")
    assert with_gpu["slurm_extra"] == "--constraint='nvlink|big'" and without["slurm_extra"] == ""
    assert with_gpu["nodes"] == without["nodes"] == 1
    assert with_gpu["slurm_account"] == without["slurm_account"] == "research"


@pytest.mark.parametrize(("kind", "gres"), [("a100", "gpu:a100:1"), (None, "gpu:1")])
def test_a_cluster_may_want_to_be_asked_by_gres(kind, gres):
    given = asked(requests(gpus=1, gpu={"partition": "gpu", "type": kind, "ask": "gres"}))
    assert (given["gres"], given["gpu"], given["gpu_model"]) == (gres, 0, "")


def test_without_a_cluster_nothing_is_asked_but_memory_time_disk_and_gpus():
    study = validate_study({"study": "s", "models": ["resnet18"]})
    resources = RuleResources(Plans(study))
    of = ClusterRequests(None, resources)
    assert of.quantities == resources.quantities == ("mem_mb", "runtime", "disk_mb", "gpu")
    assert asked(of) == {name: resources.of("extract_activations", NAMES).ask(name) for name in of.quantities}


def test_a_retry_asks_for_no_more_time_than_the_partition_takes():
    of = requests(cpu={"partition": "cpu", "max_minutes": 40})
    first, third = asked(of, "gather_model"), asked(of, "gather_model", attempt=3)
    assert first["runtime"] < third["runtime"] == 40
    assert third["mem_mb"] > 2.9 * first["mem_mb"]


def refusal(of, ask=answers, rule="extract_activations"):
    of.expect(rule, NAMES)
    with pytest.raises(ValueError) as error:
        require_cluster(of, ask)
    return str(error.value)


def test_a_cluster_that_has_all_of_it_is_accepted():
    of = requests(gpus=1, gpu={"partition": "gpu", "type": "h100"}, cpu={"partition": "cpu"})
    of.expect("gather_model", NAMES)
    warned = []
    require_cluster(of, answers, warned.append)
    assert not warned
    left = lambda command: f"layerwise_a|{Path.cwd()}\n" if command[0] == "squeue" else answers(command)  # noqa: E731
    require_cluster(of, left, warned.append)
    assert "scancel --name=layerwise_a" in warned[0]


def test_a_profile_that_was_not_filled_in_is_told_what_there_is():
    message = refusal(
        ClusterRequests(validate_cluster({"account": "None", "cpu": {"partition": ""}}), requests()._resources)
    )
    assert "account is not set; here: research, root" in message
    assert "cpu: partition is not set; here: cpu, gpu, old" in message
    assert "gpu:" not in message  # nobody asks for one


@pytest.mark.parametrize(
    "rule", ["extract_activations", "theirs_extract_activations", "list_layers", "theirs_finetune_network_1_12"]
)
def test_gpus_are_wanted_by_jobs_that_are_expected_and_by_those_behind_a_list_of_layers(rule):
    of = requests(gpus=1)
    assert not of.on_gpus
    asked(of)  # as Snakemake does, when jobs run already
    of.expect("gather_model", NAMES)
    of.expect("rule_of_another_workflow", NAMES)
    assert not of.on_gpus and set(of.longest()) == {"gather_model"}
    of.expect(rule, NAMES)
    assert of.on_gpus


def test_of_a_rule_the_longest_job_counts():
    of = requests()
    of._resources._rules["gather_model"] = lambda names: Needs(0, float(names["seconds"]))
    for seconds in "100", "9000", "200":
        of.expect("gather_model", {"seconds": seconds})
    assert of.longest()["gather_model"].seconds == 9000


def test_a_profile_without_the_block_is_told_of_the_command_that_writes_it():
    message = refusal(ClusterRequests(None, requests()._resources))
    assert (
        "the profile is of another workflow or of Snakemake 8" in message and "`layerwise profile install`" in message
    )
    assert "cpu: partition is not set; here: cpu, gpu, old" in message


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"account": "reserch"}, "account is reserch; here: research, root; did you mean 'research'?"),
        ({"cpu": {"partition": "cpus"}}, "cpu: partition is cpus; here: cpu, gpu, old; did you mean 'cpu'?"),
        ({"gpu": {"partition": "cpu"}}, "gpu: partition is cpu, which has no GPU; here: gpu, old"),
        ({"gpu": {"partition": "gpu", "type": "v100"}}, "gpu: type in gpu is v100; here: a100, h100"),
        ({"gpu": {"partition": None}}, "gpu: partition is not set; here: gpu, old"),
    ],
)
def test_what_the_cluster_lacks_is_named(changed, expected):
    assert expected in refusal(requests(gpus=1, **changed), rule="extract_activations")


def test_gpus_that_no_partition_has():
    message = refusal(
        requests(gpus=1), lambda command: "cpu|cpu*|1:00:00|(null)\n" if command[0] == "sinfo" else ACCOUNTS
    )
    assert "no partition of this cluster has any" in message


def test_a_job_longer_than_its_partition_takes_is_told_beforehand():
    message = refusal(requests(gpus=1), rule="extract_activations")
    assert "a job of extract_activations asks for" in message and "gpu takes 30 at most" in message


def test_without_slurm_it_says_so(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValueError, match="there is no sbatch here: run this on a login node"):
        require_cluster(requests())
    with pytest.raises(ValueError, match="sinfo tells of no partition"):
        require_cluster(requests(), lambda _: "")


@pytest.mark.parametrize(
    ("cluster", "expected"),
    [
        ({"acount": "x"}, "unknown key 'acount': did you mean 'account'?"),
        ({"cpu": {"partition": "a b; rm"}}, "cpu.partition"),
        ({"gpu": {"ask": "tres"}}, "gpu.ask"),
        ("research", "must hold the keys account, cpu and gpu"),
    ],
)
def test_a_block_that_describes_no_cluster_is_refused(cluster, expected):
    with pytest.raises(ValueError) as error:
        validate_cluster(cluster)
    assert expected in str(error.value)


def test_jobs_that_a_killed_snakemake_left_are_told(tmp_path):
    queue = f"layerwise_a|{tmp_path}\nlayerwise_a|{tmp_path}\nlayerwise_b|/elsewhere\nother|{tmp_path}\n"
    told = earlier_runs(tmp_path, ask=lambda _: queue)
    assert "2 jobs of another run in this folder" in told and "`scancel --name=layerwise_a`" in told
    assert earlier_runs(tmp_path / "new", ask=lambda _: queue) == earlier_runs(tmp_path, ask=lambda _: "") == ""


@pytest.mark.parametrize("kind", ["nfs", "lustre", "UNKNOWN (0x47504653)", ""])
def test_of_a_network_s_disk_nothing_is_said(tmp_path, kind):
    assert own_disk(tmp_path, lambda _: f"{kind}\n") == ""


def test_a_folder_that_nodes_may_not_see_is_told(tmp_path):
    told = own_disk(tmp_path, lambda _: "xfs\n")
    assert told.startswith(f"{tmp_path} is on a disk of this machine (xfs): where nodes do not see it")


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no disk in memory")
def test_stat_itself_tells_of_a_disk_in_memory():
    assert "(tmpfs)" in own_disk(Path("/dev/shm"))
