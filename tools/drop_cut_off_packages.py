"""Find packages that an interrupted pip left half installed, and forget them, so that pip installs them anew.

pip takes a package for installed when its `*.dist-info` folder is there. When pip is killed, that folder
may belong to a package that is not whole:

* unpacking was cut off: `INSTALLER`, which pip writes last, is missing;
* an upgrade was cut off: two versions are recorded, and the files are a mixture;
* a removal was cut off: pip first renames what it removes to begin with `~`.

Needs the standard library only, for it runs on environments that are broken.
"""

import argparse
import shutil
from collections import defaultdict
from pathlib import Path


def cut_off(site_packages: Path) -> list[Path]:
    """Return what to delete in a site-packages folder: records of packages that are not whole, and leftovers."""
    by_project: dict[str, list[Path]] = defaultdict(list)
    for info in sorted(site_packages.glob("*.dist-info")):
        by_project[info.name.partition("-")[0].lower()].append(info)
    broken = [
        info
        for infos in by_project.values()
        for info in infos
        if len(infos) > 1 or not all((info / name).is_file() for name in ("INSTALLER", "METADATA", "RECORD"))
    ]
    return broken + [path for path in sorted(site_packages.glob("~*")) if path not in broken]


def main() -> None:
    """Delete what `cut_off` finds, and say so."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site_packages", nargs="+", type=Path)
    for site_packages in parser.parse_args().site_packages:
        for path in cut_off(site_packages):
            print(f"removing what an interrupted installation left: {path.name}")
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


if __name__ == "__main__":
    main()
