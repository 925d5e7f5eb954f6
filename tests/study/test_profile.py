"""The profile of a cluster, filled in: from what SLURM 22.05 printed, and found by Snakemake's own search."""

import pytest
from snakemake.cli import get_profile_dir
from snakemake.common import get_appdirs

from layerwise.config import validate_cluster
from layerwise.files.documents import read_yaml
from layerwise.study.profile import choose, fill_in, install_profile, shipped_profile
from layerwise.study.slurm import Offer

INFINITE = float("inf")
CPU, GPU = Offer(1440, frozenset(), default=True), Offer(30.5, frozenset({"a100"}))
SINFO = "cpu|cpu*|1-00:00:00|(null)\n"
ONE = {"sinfo": SINFO, "sacctmgr": "research\n"}


def ask_one(command):
    return ONE[command[0]]


def test_the_only_choice_is_taken():
    cluster = choose({"cpu": CPU}, ["research"])
    assert (cluster.account, cluster.cpu.partition, cluster.cpu.max_minutes) == ("research", "cpu", 1440)
    assert cluster.gpu.partition is cluster.gpu.type is None
    cluster = choose({"cpu": CPU, "gpu": GPU}, [], partition="cpu")
    assert (cluster.account, cluster.gpu.partition, cluster.gpu.type, cluster.gpu.max_minutes) == (
        None, "gpu", "a100", 30,
    )  # fmt: skip


def test_several_choices_are_listed_all_at_once():
    mixed = Offer(INFINITE, frozenset({"a100", "h100"}))
    with pytest.raises(ValueError) as told:
        choose({"cpu": CPU, "gpu": mixed}, ["art", "lab"])
    sentences = str(told.value).splitlines()[1:]
    assert sentences == [
        "  --account must be given; here: art, lab",
        "  --partition must be given; here: cpu, gpu",
        "  --gpu-type must be given; here: a100, h100, or any",
    ]
    cluster = choose({"cpu": CPU, "gpu": mixed}, ["art", "lab"], "lab", "cpu", gpu_type="any")
    assert (cluster.gpu.partition, cluster.gpu.type, cluster.gpu.max_minutes) == ("gpu", None, None)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"account": "reserch"}, "--account is reserch; here: research; did you mean 'research'?"),
        ({"partition": "cpus"}, "--partition is cpus; here: cpu, gpu; did you mean 'cpu'?"),
        ({"gpu_partition": "cpu"}, "--gpu-partition is cpu; here: gpu; did you mean 'gpu'?"),
        ({"gpu_type": "a10"}, "--gpu-type is a10; here: a100; did you mean 'a100'?"),
    ],
)
def test_what_the_cluster_lacks_is_named_beside_what_it_has(given, sentence):
    with pytest.raises(ValueError) as told:
        choose({"cpu": CPU, "gpu": GPU}, ["research"], **({"partition": "cpu"} | given))
    assert str(told.value).splitlines()[1:] == [f"  {sentence}"]


def test_no_gpu_to_name():
    with pytest.raises(ValueError, match=r"--gpu-partition is gpu; here there is none"):
        choose({"cpu": CPU}, ["research"], gpu_partition="gpu")


@pytest.mark.parametrize("name", ["cpu", "1", "on", "a-b.c"])
def test_the_block_is_filled_in_and_nothing_else(name):
    shipped = shipped_profile().read_text()
    cluster = choose({name: CPU, "gpu": GPU}, [name], partition=name)
    filled = fill_in(shipped, cluster, "mine")
    changed = [line for line in filled.splitlines() if line not in shipped.splitlines()]
    assert len(changed) == 4 and "--profile mine" in changed[0]
    assert shipped.count("#") == filled.count("#")


def test_snakemake_finds_it_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    path, cluster = install_profile(tmp_path / "snakemake", ask=ask_one)
    assert get_appdirs().user_config_dir == str(tmp_path / "snakemake")
    assert get_profile_dir("slurm") == (path.parent, path)
    assert validate_cluster(read_yaml(path)["config"]["cluster"]) == cluster


def test_a_profile_that_is_there_stays(tmp_path):
    path, _ = install_profile(tmp_path, ask=ask_one)
    path.write_text("mine: true\n")
    with pytest.raises(ValueError, match="is there already: --replace"):
        install_profile(tmp_path, ask=ask_one)
    assert path.read_text() == "mine: true\n"
    install_profile(tmp_path, replace=True, ask=ask_one)
    assert "research" in path.read_text()


def test_a_profile_that_snakemake_would_read_instead_is_told(tmp_path):
    (tmp_path / "slurm").mkdir()
    (tmp_path / "slurm" / "config.v8+.yaml").touch()  # of Snakemake 8
    with pytest.raises(ValueError, match=r"config\.v8\+\.yaml is another profile"):
        install_profile(tmp_path, replace=True, ask=ask_one)


@pytest.mark.parametrize("name", ["", "a/b", "..", "-x"])
def test_names_that_are_no_folder_of_one_word(tmp_path, name):
    with pytest.raises(ValueError, match="a profile is named by"):
        install_profile(tmp_path, name, ask=ask_one)


def test_no_slurm(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValueError, match="there is no sbatch here"):
        install_profile(tmp_path)
    with pytest.raises(ValueError, match="SLURM does not answer"):
        install_profile(tmp_path, ask=lambda _: "")
    assert not any(tmp_path.iterdir())
