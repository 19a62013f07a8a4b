from setuptools import find_packages, setup

NAME = "tf_transformations"

setup(
    name=NAME,
    version="1.1.0",
    packages=find_packages(),
    package_data={NAME: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
    license="Apache-2.0",
    description="Stands in for the ROS 2 package of this name; see package.xml.",
)
