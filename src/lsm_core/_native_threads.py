"""Defaults for the thread pools of native libraries; imported before NumPy and PyTorch load them.

Their threads spin while they wait for each other. On a computer with few cores that other programs use too, a
waiting thread then holds the core that the awaited one needs, and small operations take a hundred times longer:
on a loaded 2-core machine lsm-tiny took 5.8 s per pair instead of 0.2 s. So waiting threads sleep, and BLAS, whose
matrices here are tiny, uses one thread. A variable that the user has set stays as it is. Where NumPy or PyTorch are
imported before lsm_core, set the variables in the environment.
"""

from __future__ import annotations

import os

DEFAULTS = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1"}

for _name, _value in DEFAULTS.items():
    os.environ.setdefault(_name, _value)
