"""Install the node's Python package, its launch and config files, and the shell launchers `ros2 run` starts."""

import os
from glob import glob
from xml.etree import ElementTree

from setuptools import find_packages, setup

package_name = "lsm_perception"
version = ElementTree.parse("package.xml").findtext("version")

setup(
    name=package_name,
    version=version,
    packages=find_packages(include=[package_name, f"{package_name}.*"]),
    package_data={package_name: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
        (f"share/{package_name}/launch", sorted(glob("launch/*.launch.py"))),
        (f"share/{package_name}/config", sorted(glob("config/*.*"))),
        # What log messages point at; a link, which a package copied out of the repository leaves dangling.
        (f"share/{package_name}/docs", [page for page in glob("docs/*.md") if os.path.exists(page)]),
        # Shell scripts instead of entry points: an entry point's shebang loses the virtual environment.
        (f"lib/{package_name}", sorted(glob("scripts/*"))),
    ],
    install_requires=["setuptools"],
    zip_safe=True,
    maintainer="lsm_perception maintainers",
    maintainer_email="maintainers@example.org",
    description="The ROS 2 node around lsm_core",
    license="Apache-2.0",
)
