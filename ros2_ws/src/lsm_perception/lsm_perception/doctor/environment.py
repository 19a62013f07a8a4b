"""What the environment says to ROS: distribution, middleware, domain, discovery, security."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from lsm_core.doctor import Fault, Finding, ok

DISTRIBUTION = Fault(
    "ros.distribution",
    "note",
    "Another ROS 2 than Jazzy, which is the one this is built and tested with.",
    "Use Jazzy: source /opt/ros/jazzy/setup.bash in a fresh shell, or ./run without a sourced ROS.",
    "install.md#on-a-full-ros-2-installation",
)
DOMAIN = Fault(
    "dds.domain",
    "problem",
    "ROS_DOMAIN_ID is no number from 0 to 232; above 101 ports overlap with those that Linux gives to programs.",
    "export ROS_DOMAIN_ID={domain}, the same on all machines of the robot.",
)
RANGE = Fault(
    "dds.range",
    "problem",
    "ROS_AUTOMATIC_DISCOVERY_RANGE has a value that ROS 2 does not know (ignored), or OFF: nobody is found.",
    "export ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET (other machines, too) or LOCALHOST.",
)
LOCAL_ONLY = Fault(
    "dds.local_only",
    "note",
    "Only nodes of this machine are found; a camera on another machine is not.",
    "For other machines: unset ROS_LOCALHOST_ONLY; export ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET.",
)
TWO_WAYS = Fault(
    "dds.two_ways",
    "note",
    "ROS_LOCALHOST_ONLY=1 is set beside ROS_AUTOMATIC_DISCOVERY_RANGE or ROS_STATIC_PEERS, and overrides them.",
    "unset ROS_LOCALHOST_ONLY; it is deprecated.",
)
KEYSTORE = Fault(
    "security.keystore",
    "problem",
    "Security is on and the keystore is not where ROS_SECURITY_KEYSTORE says.",
    "ros2 security create_keystore FOLDER; export ROS_SECURITY_KEYSTORE=FOLDER; or ROS_SECURITY_ENABLE=false.",
)
ENCLAVE = Fault(
    "security.enclave",
    "problem",
    "Security is enforced and the keystore has no usable enclave for the doctor: it may not join the graph.",
    "ros2 security create_enclave {keystore} {enclave}; export ROS_SECURITY_ENCLAVE_OVERRIDE={enclave}.",
)
PERMISSIVE = Fault(
    "security.permissive",
    "note",
    "Security is on but not enforced: nodes without keys talk unprotected.",
    "export ROS_SECURITY_STRATEGY=Enforce.",
)
FAULTS = (DISTRIBUTION, DOMAIN, RANGE, LOCAL_ONLY, TWO_WAYS, KEYSTORE, ENCLAVE, PERMISSIVE)

TESTED = "jazzy"
RANGES = ("SUBNET", "LOCALHOST", "OFF", "SYSTEM_DEFAULT", "")
HIGHEST_DOMAIN, HIGHEST_SAFE_DOMAIN = 232, 101
# What an enclave holds, by the file names of SROS2.
ENCLAVE_FILES = (
    "cert.pem",
    "key.pem",
    "governance.p7s",
    "permissions.p7s",
    "identity_ca.cert.pem",
    "permissions_ca.cert.pem",
)


def environment_findings(environment: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Check all variables that ROS 2 reads."""
    yield check_distribution(environment)
    yield check_domain(environment)
    yield from check_range(environment)
    yield from check_security(environment)


def check_distribution(environment: Mapping[str, str]) -> Finding:
    """Is it the ROS 2 that this is tested with?"""
    name = environment.get("ROS_DISTRO", "unknown distribution")
    return ok("ROS 2", name) if name == TESTED else DISTRIBUTION.seen("ROS 2", name)


def check_domain(environment: Mapping[str, str]) -> Finding:
    """Is the domain one that exists?"""
    text = environment.get("ROS_DOMAIN_ID", "") or "0"
    if not text.isdigit() or int(text) > HIGHEST_DOMAIN:
        return DOMAIN.seen("Domain", f"ROS_DOMAIN_ID={text}", domain="0")
    if int(text) > HIGHEST_SAFE_DOMAIN:
        told = f"ROS_DOMAIN_ID={text}, above {HIGHEST_SAFE_DOMAIN}"
        return DOMAIN.seen("Domain", told, "note", domain="0")
    given = "" if environment.get("ROS_DOMAIN_ID") else " (default)"
    return ok("Domain", f"ROS_DOMAIN_ID {text}{given}")


def check_range(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Can other machines be found?"""
    chosen = environment.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "")
    local = environment.get("ROS_LOCALHOST_ONLY", "0") == "1"
    peers = environment.get("ROS_STATIC_PEERS", "")
    if chosen.upper() not in RANGES or chosen.upper() == "OFF":
        yield RANGE.seen("Discovery", f"ROS_AUTOMATIC_DISCOVERY_RANGE={chosen}")
    elif local and (chosen or peers):
        yield TWO_WAYS.seen("Discovery", f"ROS_LOCALHOST_ONLY=1 beside {chosen or 'ROS_STATIC_PEERS=' + peers}")
    elif local or (chosen.upper() == "LOCALHOST" and not peers):
        variable = "ROS_LOCALHOST_ONLY=1" if local else f"ROS_AUTOMATIC_DISCOVERY_RANGE={chosen}"
        yield LOCAL_ONLY.seen("Discovery", f"this machine only, by {variable}")
    else:
        also = f", also {peers}" if peers else ""
        yield ok("Discovery", f"{chosen or 'SUBNET (default)'}{also}")


def check_security(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Is there what SROS2 asks for? Nothing where security is off."""
    if environment.get("ROS_SECURITY_ENABLE", "").lower() != "true":
        return
    enforced = environment.get("ROS_SECURITY_STRATEGY", "") == "Enforce"
    place = environment.get("ROS_SECURITY_KEYSTORE", "")
    enclaves = Path(place) / "enclaves"
    if not place or not enclaves.is_dir():
        told = f"ROS_SECURITY_KEYSTORE={place or 'nothing'}: there is no folder {enclaves}"
        yield KEYSTORE.seen("Security", told, "problem" if enforced else "note")
        return
    enclave = environment.get("ROS_SECURITY_ENCLAVE_OVERRIDE", "") or "/"
    folder = enclaves / enclave.strip("/")
    missing = [name for name in ENCLAVE_FILES if not (folder / name).is_file()]
    if missing:
        told = f"{folder} lacks {', '.join(missing)}"
        shown = enclave if enclave != "/" else "/lsm_doctor"
        yield ENCLAVE.seen("Security", told, "problem" if enforced else "note", keystore=place, enclave=shown)
    elif not enforced:
        yield PERMISSIVE.seen("Security", f"ROS_SECURITY_STRATEGY={environment.get('ROS_SECURITY_STRATEGY', '')}")
    else:
        yield ok("Security", f"enforced, enclave {enclave} of {place}")
