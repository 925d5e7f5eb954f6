"""A stand-in for conda where none can be had: the few calls that Snakemake makes, on rattler's solver and installer.

Rattler (`pip install py-rattler`) reads channels, solves and links packages as conda does. Here it takes them from a
channel in a folder, made of this machine's Python and pip.
"""

import asyncio
import hashlib
import importlib.util
import json
import os
import sys
import sysconfig
import tarfile
from pathlib import Path

ACTIVATE = """\
export CONDA_PREFIX="$1"
export PATH="$1/bin:$PATH"
"""
COMMAND = """\
#!/bin/sh
PYTHONPATH="{packages}" exec "{python}" "{program}" "{home}" "$@"
"""
LEFT_OUT = ("site-packages", "test", "idlelib", "tkinter", "__pycache__", "config-")


def make_conda(home):
    """Lay out a folder as conda's: `bin` with the command and `activate`, and a channel named conda-forge."""
    (home / "bin").mkdir(parents=True)
    command = home / "bin/conda"
    packages = Path(importlib.util.find_spec("rattler").origin).parents[1]
    command.write_text(COMMAND.format(packages=packages, python=sys.executable, program=__file__, home=home))
    command.chmod(0o755)
    (home / "bin/activate").write_text(ACTIVATE)
    make_channel(home / "conda-forge")
    return home / "bin"


def make_channel(folder):
    """Pack this machine's Python, without its packages, and pip."""
    (folder / "noarch").mkdir(parents=True)
    (folder / "linux-64").mkdir()
    (folder / "noarch/repodata.json").write_text(json.dumps({"info": {"subdir": "noarch"}, "packages": {}}))
    base = Path(sys.base_prefix)
    library = Path(sysconfig.get_path("stdlib", vars={"installed_base": str(base)}))
    short = ".".join(map(str, sys.version_info[:2]))
    version = ".".join(map(str, sys.version_info[:3]))
    files = {str(path.relative_to(base)): path for path in library.rglob("*") if is_part(path.relative_to(library))}
    files |= {f"lib/{path.name}": path for path in base.glob("lib/libpython*.so*")}
    files |= {f"bin/{name}": base / f"bin/python{short}" for name in ("python", "python3", f"python{short}")}
    pip = next(iter(library.glob("site-packages/pip")))
    packages = [pack(folder, "python", version, files, [])]
    files = {str(path.relative_to(base)): path for path in pip.rglob("*") if "__pycache__" not in path.parts}
    packages.append(pack(folder, "pip", "1.0", files, [f"python {short}.*"]))
    found = {"info": {"subdir": "linux-64"}, "packages": dict(packages), "repodata_version": 1}
    (folder / "linux-64/repodata.json").write_text(json.dumps(found))


def is_part(path):
    return not any(part.startswith(LEFT_OUT) for part in path.parts)


def pack(folder, name, version, files, depends):
    index = {"name": name, "version": version, "build": "0", "build_number": 0, "depends": depends}
    index |= {"subdir": "linux-64", "arch": "x86_64", "platform": "linux"}
    files = {there: path for there, path in sorted(files.items()) if path.is_file()}
    sums = [(there, path, hashlib.sha256(path.read_bytes()).hexdigest()) for there, path in files.items()]
    paths = [
        {"_path": there, "path_type": "hardlink", "sha256": digest, "size_in_bytes": path.stat().st_size}
        for there, path, digest in sums
    ]
    about = folder / f"{name}.info"
    about.mkdir()
    (about / "index.json").write_text(json.dumps(index))
    (about / "paths.json").write_text(json.dumps({"paths": paths, "paths_version": 1}))
    (about / "files").write_text("\n".join(files))
    archive = folder / f"linux-64/{name}-{version}-0.tar.bz2"
    with tarfile.open(archive, "w:bz2", compresslevel=1, dereference=True) as packed:
        packed.add(about, "info")
        for there, path in files.items():
            packed.add(path, there)
    data = archive.read_bytes()
    sums = {"sha256": hashlib.sha256(data).hexdigest(), "md5": hashlib.md5(data).hexdigest(), "size": len(data)}
    return archive.name, index | sums


async def create(home, prefix, environment):
    """Solve an environment's YAML and install what was found."""
    import rattler
    import yaml

    described = yaml.safe_load(Path(environment).read_text())
    channels = [rattler.Channel((Path(home) / name).as_uri()) for name in described["channels"]]
    records = await rattler.solve(
        channels,
        described["dependencies"],
        platforms=["linux-64", "noarch"],
        virtual_packages=rattler.VirtualPackage.detect(),
    )
    await rattler.install(records, prefix, cache_dir=Path(home) / "pkgs", show_progress=False)
    print(*(f"{record.name.normalized} {record.version}" for record in records), sep="\n")


def main(home, *arguments):
    match arguments:
        case ["info", "--json"]:
            print(json.dumps({"conda_prefix": home, "platform": "linux-64"}))
        case ["--version"]:
            print("conda 26.1.0 (a stand-in of layerwise's tests)")
        case ["config", "--get", "channel_priority", "--json"]:
            print(json.dumps({"get": {"channel_priority": "strict"}}))
        case ["env", "create", "--quiet", "--no-default-packages", "--file", environment, "--prefix", prefix]:
            asyncio.run(create(home, prefix, environment))
        case ["clean", *_]:
            pass
        case _:
            sys.exit(f"conda {' '.join(arguments)}: not known to this stand-in")


if __name__ == "__main__":
    main(*sys.argv[1:])
    sys.stdout.flush()
    os._exit(0)  # rattler's threads outlive the interpreter, which then may abort
