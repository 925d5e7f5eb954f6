import errno
import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from layerwise.interfaces import ModelSpec
from layerwise.models import fetch_weights, find_weights, hash_weights, registry, weights

CONTENT = b"weights of a network"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SPEC = ModelSpec("mine", "torchvision", "resnet18")


@pytest.fixture
def published(monkeypatch):
    """Change what is known of resnet18's weights."""

    def change(**facts):
        values = {"file": "net.pth", "url": "", "sha256": SHA256[:8], **facts}
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
    with pytest.raises(ValueError, match="is not the published file of weights"):
        fetch_weights(SPEC, tmp_path / "weights")
    assert list((tmp_path / "weights").iterdir()) == []


@pytest.mark.parametrize("address", ["{server}/gone.pth", "http://127.0.0.1:9/net.pth"])
def test_no_network_says_what_to_do(published, server, tmp_path, address):
    url = address.format(server=server)
    published(url=url)
    with pytest.raises(ValueError) as error:
        fetch_weights(SPEC, tmp_path / "weights")
    assert url in str(error.value)
    assert str(tmp_path / "weights") in str(error.value)
    assert list((tmp_path / "weights").iterdir()) == []


def test_full_disk_is_not_mistaken_for_a_missing_network(published, server, tmp_path, monkeypatch):
    import pooch

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    published(url=f"{server}/net.pth")
    monkeypatch.setattr(pooch.downloaders, "choose_downloader", lambda url: full)
    with pytest.raises(OSError, match="No space left"):
        fetch_weights(SPEC, tmp_path)
    assert not (tmp_path / "net.pth").exists()


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
    assert hash_weights(spec) != first


def test_official_weights_of_other_timm_networks_may_lie_in_the_folder(tmp_path):
    spec = ModelSpec("a", "timm", "mobilenetv3_small_050")
    assert find_weights(spec, tmp_path) is None
    (tmp_path / "mobilenetv3_small_050.safetensors").touch()
    assert find_weights(spec, tmp_path) == tmp_path / "mobilenetv3_small_050.safetensors"
